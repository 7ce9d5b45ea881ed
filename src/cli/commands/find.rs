//! `costag find`: prints the keys of images that have certain labels.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::aliases::Aliases;
use crate::cli::exit::Exit;
use crate::cli::links::{self, LinkOptions, Links};
use crate::cli::names;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfNames, SettingOptions};
use crate::cli::rows::{Form, FormOptions, Rows};
use crate::cli::zone;
use crate::cos::encode;
use crate::export;
use crate::label;
use crate::numbers::counted;
use crate::scene::{Scene, Scenes};
use crate::store::Reader;
use crate::store::read::{ExportFilter, Exported, Standing};
use crate::time::UnixMillis;
use crate::visible::visible;

/// The options of which at least one is needed.
const CONDITIONS: [&str; 7] = ["label", "any", "category", "not", "no_labels", "failed", "since"];

/// Print the keys of images by their labels, or by what is known of them
///
/// An image is printed if it has every --label, one of --any, a label of every --category, and no label of --not. Names
/// must match exactly. Labels with less confidence than --min-confidence are ignored.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("conditions").args(CONDITIONS).required(true).multiple(true)))]
pub struct Args {
    /// A label that the image must have; may be repeated: it must have all of them
    #[arg(long, value_name = "NAME")]
    label: Vec<String>,
    /// A label of which the image must have one; may be repeated: it must have at least one of them
    #[arg(long, value_name = "NAME")]
    any: Vec<String>,
    /// A first or second category of which the image must have a label; may be repeated: it must have all of them
    #[arg(long, value_name = "NAME")]
    category: Vec<String>,
    /// A label that the image must not have; may be repeated: it must have none of them
    #[arg(long, value_name = "NAME")]
    not: Vec<String>,
    /// Only images that were answered without any label
    #[arg(long, conflicts_with_all = ["label", "any", "category", "not", "min_confidence", "failed"])]
    no_labels: bool,
    /// Only images that are given up; they may have labels of an earlier answer
    #[arg(long)]
    failed: bool,
    /// Only objects that were last modified at this time or later: 2026-11-01, 2026-11-01T06:30 (both local time) or
    /// 2026-11-01T06:30:00Z
    #[arg(long, value_name = "DATE", value_parser = zone::moment)]
    since: Option<Timestamp>,
    /// Ignore labels with less confidence than this, 0 to 100
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=100))]
    min_confidence: i64,
    /// Only keys that begin with this
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// Only this bucket, NAME-APPID; may be repeated
    #[arg(long, value_name = "BUCKET")]
    bucket: Vec<String>,
    /// Only labels of these scenes; separate several with commas, or repeat the option [default: all]
    #[arg(short, long, alias = "scenes", value_name = "SCENE,…", value_delimiter = ',')]
    scene: Vec<Scene>,
    #[command(flatten)]
    form: FormOptions,
    /// End each key with NUL instead of a newline
    #[arg(short = '0', long, conflicts_with_all = ["json", "csv", "excel"])]
    null: bool,
    /// Write what another program reads: cos-batch is the CSV manifest of the batch operations of COS (Bucket,Key)
    #[arg(long, value_enum, conflicts_with_all = ["json", "csv", "excel", "null"])]
    format: Option<Manifest>,
    #[command(flatten)]
    names: SettingOptions<OfNames>,
    #[command(flatten)]
    links: LinkOptions,
}

/// A form that another program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Manifest {
    /// One line for each key, without a header: the bucket, and the key in percent-encoding
    CosBatch,
}

/// The columns. The last one is there only with links.
const COLUMNS: [&str; 4] = ["bucket", "key", "labels", "url"];

#[derive(Serialize)]
struct Row<'a> {
    bucket: &'a str,
    key: &'a str,
    labels: Vec<Label<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct Label<'a> {
    scene: &'static str,
    name: &'a str,
    confidence: u8,
}

impl<'a> From<label::Label<'a>> for Label<'a> {
    fn from(label::Label { scene, name, confidence, .. }: label::Label<'a>) -> Self {
        Self { scene: scene.name(), name, confidence }
    }
}

impl Args {
    /// Prints the keys; on a terminal it also reports their number on stderr.
    ///
    /// # Errors
    /// The database is unusable, or stdout cannot be written.
    pub fn execute(mut self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let life = self.links.life()?;
        let settings = global.settings(|options| {
            self.names.give(options);
            self.links.settings.give(options);
        })?;
        let aliases = names::aliases(&settings)?;
        // From here on, labels are named as they are shown. Several stored names may be shown as one.
        for name in self.label.iter_mut().chain(&mut self.any).chain(&mut self.not) {
            *name = aliases.label(name).to_owned();
        }
        let stored = |name: &String| aliases.labels_shown_as(name);
        let reader = Reader::open(&settings.db)?;
        let scenes: Scenes = self.scene.iter().copied().collect();
        // Labels of other names are not read, because they decide nothing. If a name is not enough to decide, as with --not
        // alone or with --category, all labels are read.
        let sought = [self.label.as_slice(), &self.any].concat();
        let names = if sought.is_empty() || !self.category.is_empty() || self.failed {
            Vec::new()
        } else {
            sought.iter().chain(&self.not).flat_map(stored).collect()
        };
        let standing = match (self.no_labels, self.failed) {
            (true, _) => Standing::NoLabels,
            (false, true) => Standing::Failed,
            (false, false) => Standing::Answered,
        };
        let mut export = reader.export(ExportFilter {
            buckets: self.bucket.clone(),
            prefix: self.prefix.clone(),
            scenes: if scenes.is_empty() { ExportFilter::default().scenes } else { scenes },
            min_confidence: self.min_confidence,
            names,
            // The store requires every name of `having` and `categories`. If several stored names are shown as one, the
            // image needs only one of them: then the store is not asked, and `fits` decides.
            having: alone(self.label.iter().map(stored)),
            any: self.any.iter().flat_map(stored).collect(),
            categories: alone(
                self.category.iter().map(|category| aliases.categories_shown_like(category)),
            ),
            since: self.since.map(UnixMillis::from),
            standing,
            include_gone: false,
            since_run: None,
            aliases: Arc::new(aliases.clone()),
        })?;
        let terminal = stdout().is_terminal();
        let mut links = life.map(|life| Links::begin(&settings, &reader, life)).transpose()?;
        let columns = if links.is_some() { &COLUMNS[..] } else { &COLUMNS[..3] };
        let mut rows = Rows::begin(self.form.form(), columns)?;
        let (mut urls, mut unreachable, mut buckets) = (0_u64, 0_u64, BTreeSet::new());
        while let Some(batch) = export.next_batch()? {
            for object in batch.objects().filter(|object| self.fits(object, &aliases)) {
                if self.format.is_some() {
                    if object.is_url {
                        urls += 1;
                        continue;
                    }
                    if !buckets.contains(object.bucket) {
                        buckets.insert(object.bucket.to_owned());
                    }
                }
                let link = match &mut links {
                    // The public URL itself opens in a browser.
                    Some(_) if object.is_url => None,
                    Some(links) => match links.link(object.bucket, object.key)? {
                        None => {
                            unreachable += 1;
                            continue;
                        }
                        link => link,
                    },
                    None => None,
                };
                let url = match &link {
                    Some(link) => Some(link.expose()),
                    None => links.is_some().then_some(object.key),
                };
                self.print(&object, url, &aliases, terminal, &mut rows)?;
            }
        }
        let count = rows.end()?;
        if urls > 0 {
            let verb = if urls == 1 { "was" } else { "were" };
            say!(
                "{} {verb} left out: only a key of a bucket can stand in the manifest",
                counted(urls, "public URL")
            );
        }
        if unreachable > 0 {
            let verb = if unreachable == 1 { "was" } else { "were" };
            say!("{} {verb} left out: no link can lead there", counted(unreachable, "key"));
        }
        links::tell_token(links.is_some_and(|links| links.is_temporary()));
        if buckets.len() > 1 {
            say!(
                "warning: the manifest names {}, and a batch operation works on the keys of one: choose it with --bucket",
                counted(buckets.len() as u64, "bucket")
            );
        }
        if self.form.form() == Form::Text && terminal {
            say!("{}", counted(count, "image"));
        }
        Ok(Exit::Complete)
    }

    fn fits(&self, object: &Exported<'_>, aliases: &Aliases) -> bool {
        let has = |name: &String| object.labels().any(|label| label.name == name.as_str());
        let of_category =
            |category: &String| object.labels().any(|label| is_of(&label, category, aliases));
        self.label.iter().all(has)
            && (self.any.is_empty() || self.any.iter().any(has))
            && self.category.iter().all(of_category)
            && !self.not.iter().any(has)
    }

    fn print(
        &self,
        object: &Exported<'_>,
        url: Option<&str>,
        aliases: &Aliases,
        terminal: bool,
        rows: &mut Rows,
    ) -> Result<(), export::Error> {
        let (bucket, key) = (object.bucket, object.key);
        let wanted = |label: &label::Label<'_>| {
            self.label.iter().chain(&self.any).any(|name| name == label.name)
                || self.category.iter().any(|category| is_of(label, category, aliases))
        };
        let labels: Vec<Label<'_>> = object.labels().filter(wanted).map(Label::from).collect();
        let row = Row { bucket, key, labels, url };
        let joined = || {
            let labels =
                row.labels.iter().map(|l| format!("{}:{}:{}", l.scene, l.name, l.confidence));
            labels.collect::<Vec<_>>().join(";")
        };
        rows.row(
            &row,
            || {
                let mut cells = vec![bucket.to_owned(), key.to_owned(), joined()];
                cells.extend(url.map(str::to_owned));
                cells
            },
            |line| {
                if self.format == Some(Manifest::CosBatch) {
                    // The slashes stay, as in the keys of inventories; both forms mean the same key.
                    let key = encode(key).replace("%2F", "/");
                    let _ = writeln!(line, "{bucket},{key}");
                    return;
                }
                // A program gets the bytes as they are. On a terminal, control characters are spelled out.
                let shown = url.unwrap_or(key);
                let shown = if terminal { visible(shown) } else { shown.into() };
                let end = if self.null { '\0' } else { '\n' };
                let _ = write!(line, "{shown}{end}");
            },
        )
    }
}

/// Whether a label, named as it is shown, has this category, a stored name or an alias.
fn is_of(label: &label::Label<'_>, category: &str, aliases: &Aliases) -> bool {
    label.first_category == aliases.first_category(category)
        || label.second_category == aliases.second_category(category)
}

/// The names of those lists that have exactly one name.
fn alone(lists: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    lists.filter(|names| names.len() == 1).flatten().collect()
}
