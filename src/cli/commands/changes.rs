//! `costag changes`: prints the journal of a run.

use std::str::FromStr;

use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::options::global::GlobalOptions;
use crate::cli::rows::{FormOptions, Rows};
use crate::export;
use crate::numbers::counted;
use crate::store::Reader;
use crate::store::model::ChangeKind;
use crate::store::read::Change;
use crate::visible::visible;

/// Show which objects a run found added, changed, gone or moved
///
/// A run compares its listing with the listing before. The first complete listing of a source has no listing before, so
/// its run has no changes to show. Each line of text has the kind of change and the key. CSV and JSON lines also have the
/// bucket, the earlier key of a moved object, and the ETag and size of the content; for changed objects these are the ETag
/// and size before the change. They are empty for objects that were never wanted.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "it is the help's text")]
pub struct Args {
    /// Number of a run, or last
    #[arg(long, value_name = "N|last", default_value = "last")]
    run: WhichRun,
    /// Only changes of this kind: added, changed, gone or moved; may be repeated
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<ChangeKind>,
    #[command(flatten)]
    form: FormOptions,
}

/// Which run is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhichRun {
    Last,
    Number(i64),
}

impl FromStr for WhichRun {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "last" => Ok(Self::Last),
            number => number
                .parse()
                .map(Self::Number)
                .map_err(|_| "expected the number of a run, or last"),
        }
    }
}

fn kind(text: &str) -> Result<ChangeKind, String> {
    ChangeKind::from_name(text).ok_or_else(|| "expected added, changed, gone or moved".to_owned())
}

const COLUMNS: [&str; 7] = ["run_id", "kind", "bucket", "key", "from_key", "etag", "size"];

impl Args {
    /// Prints the changes, and reports on stderr which run they belong to.
    ///
    /// # Errors
    /// There is no such run, the database is unusable, or stdout cannot be written.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|_| ())?;
        let reader = Reader::open(&settings.db)?;
        let run = match self.run {
            WhichRun::Last => reader.last_run()?,
            WhichRun::Number(id) => reader.run(id)?,
        };
        let Some(run) = run else {
            let last = reader.last_run()?;
            anyhow::bail!(Usage(match (self.run, last) {
                (WhichRun::Number(id), Some(last)) =>
                    format!("there is no run {id}; the last one is {}", last.id),
                _ => "there is no run yet: begin one with costag run".to_owned(),
            }));
        };
        let mut rows = Rows::begin(self.form.form(), &COLUMNS)?;
        reader.changes(run.id, |change| {
            if !self.kind.is_empty() && !self.kind.contains(&change.kind) {
                return Ok::<_, export::Error>(());
            }
            rows.row(change, || cells(change), |line| text(change, line))
        })?;
        let count = rows.end()?;
        let source = format!("cos://{}/{}", run.bucket, run.prefix);
        let source = visible(&source);
        if run.pruned {
            say!(
                "the changes of run {} over {source} were removed when old runs were pruned",
                run.id
            );
        } else if run.journals {
            say!("run {} over {source}: {}", run.id, counted(count, "change"));
        } else {
            say!(
                "run {} over {source} has no changes to show: it was the first listing of its source, or it read a list",
                run.id
            );
        }
        Ok(Exit::Complete)
    }
}

fn cells(change: &Change) -> [String; 7] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        change.run_id.to_string(),
        change.kind.name().to_owned(),
        change.bucket.clone(),
        change.key.clone(),
        text(&change.from_key),
        change.etag.as_ref().map(ToString::to_string).unwrap_or_default(),
        change.size.map(|size| size.to_string()).unwrap_or_default(),
    ]
}

fn text(change: &Change, line: &mut Vec<u8>) {
    let kind = change.kind.name();
    let key = visible(&change.key);
    let text = match &change.from_key {
        Some(from) => format!("{kind:<8} {} -> {key}\n", visible(from)),
        None => format!("{kind:<8} {key}\n"),
    };
    line.extend_from_slice(text.as_bytes());
}
