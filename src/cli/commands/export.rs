//! `costag export`: writes labels as CSV or JSON lines.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::names;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfNames, SettingOptions};
use crate::cli::own_files;
use crate::cli::signals::Interrupt;
use crate::config::read_size;
use crate::export::{self, Column, Dialect, Format, Layout, Output, Shape};
use crate::numbers::counted;
use crate::scene::{Scene, Scenes};
use crate::store::read::ExportFilter;
use crate::store::{Export, Reader};
use crate::visible::{Notation, visible};

/// How many rows a sheet of Excel has, the header included.
const SHEET: u64 = 1_048_576;

/// Write labels as CSV or JSON lines, sorted by bucket and key
///
/// CSV follows RFC 4180 with LF line ends, in UTF-8. Times are ISO 8601 in UTC. Rows of a list of URLs have no etag, size
/// and last_modified. The wide layout has one row per tagged object and one column per scene, with the labels joined as
/// name:confidence;name:confidence (a : ; or \ in a name has a \ before it). A file appears under its name when it is
/// complete; it is compressed if its name ends in .gz or .zst. Without --excel, cells are not changed, and a spreadsheet may
/// treat some of them as formulas. On a terminal, control and invisible characters are spelled out.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "it is the help's text")]
pub struct Args {
    /// File to write; - is standard output. A name that ends in .gz or .zst is compressed
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// What one row stands for
    #[arg(long, value_enum, default_value_t = Layout::Long)]
    layout: Layout,
    /// Only these columns, in this order; separate them with commas [default: all of the layout]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    columns: Vec<Column>,
    /// Write CSV for spreadsheets: with a byte order mark and CRLF line ends. A cell that a spreadsheet may take for a
    /// formula gets an apostrophe before it
    #[arg(long)]
    excel: bool,
    /// Only labels of these scenes; separate several with commas, or repeat the option [default: all]
    #[arg(long, alias = "scenes", value_name = "SCENE,…", value_delimiter = ',')]
    scene: Vec<Scene>,
    /// Only labels of at least this confidence, 0 to 100
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=100))]
    min_confidence: i64,
    /// Only labels of exactly this name, or with this alias; may be repeated
    #[arg(long, value_name = "NAME")]
    label: Vec<String>,
    /// Only keys that begin with this
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// Only this bucket, NAME-APPID; may be repeated
    #[arg(long, value_name = "BUCKET")]
    bucket: Vec<String>,
    /// Include objects that are no longer in the bucket
    #[arg(long)]
    include_gone: bool,
    /// Write several files of at most SIZE before compression, such as 1G: tags-001.csv, tags-002.csv and so on for -o
    /// tags.csv. Each is valid by itself and has whole keys; all of them appear together at the end
    #[arg(long, value_name = "SIZE", value_parser = split_size)]
    split: Option<u64>,
    /// Only what changed after run N: each changed key with all its rows, and with the column deleted at the end. A key that
    /// has no rows any longer has one row in which deleted is true
    #[arg(long, value_name = "N", conflicts_with = "include_gone")]
    since_run: Option<i64>,
    #[command(flatten)]
    names: SettingOptions<OfNames>,
}

/// A size of the files of a divided export.
fn split_size(text: &str) -> Result<u64, String> {
    match read_size(text)? {
        0 => Err("expected a size above 0".to_owned()),
        size => Ok(size),
    }
}

impl Args {
    /// Writes the rows, and reports their number on stderr.
    ///
    /// # Errors
    /// The database is unusable, or the output cannot be written.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let shape = self.shape()?;
        let settings = global.settings(|options| self.names.give(options))?;
        let aliases = names::aliases(&settings)?;
        let reader = Reader::open(&settings.db)?;
        own_files::spare(&self.output, &reader)?;
        // The run to name next time is read before the rows, so that no later change is missed then.
        let next = match self.since_run {
            Some(since) => since_run(&reader, since)?,
            None => None,
        };
        let scenes: Scenes = self.scene.iter().copied().collect();
        let names: Vec<String> = self
            .label
            .iter()
            .flat_map(|name| aliases.labels_shown_as(aliases.label(name)))
            .collect();
        let mut rows = reader.export(ExportFilter {
            buckets: self.bucket.clone(),
            prefix: self.prefix.clone(),
            scenes: if scenes.is_empty() { ExportFilter::default().scenes } else { scenes },
            min_confidence: self.min_confidence,
            any: names.clone(),
            names,
            include_gone: self.include_gone,
            since_run: self.since_run,
            aliases: Arc::new(aliases),
            ..ExportFilter::default()
        })?;
        // A stream leaves no file that must be removed, so a signal may end the program as usual.
        let interrupt =
            if self.output.as_os_str() == "-" { None } else { Some(Interrupt::watch()?) };
        let continues = || interrupt.as_ref().is_none_or(|interrupt| interrupt.exit().is_none());
        let notation = match self.format {
            Format::Csv => Notation::Csv,
            Format::Jsonl => Notation::Json,
        };
        let written = match self.split {
            Some(limit) => export::write_split(&mut rows, shape, &self.output, limit, continues)
                .map(|written| {
                    let files = counted(written.files as u64, "file");
                    (written.rows, format!("{files} for {}", self.output.display()))
                }),
            None => self.write(&mut rows, shape, notation, continues),
        };
        if let (Err(export::Error::Interrupted), Some(exit)) =
            (&written, interrupt.as_ref().and_then(Interrupt::exit))
        {
            say!("interrupted: no file was written");
            return Ok(exit);
        }
        let (count, target) = written?;
        say!("{} written to {}", counted(count, "row"), visible(&target));
        if let Some(next) = next {
            say!("the changes after these: --since-run {next}");
        }
        if self.excel && count >= SHEET {
            say!(
                "warning: a sheet of Excel has {SHEET} rows and does not show the others; choose rows with --prefix or \
                 --min-confidence, or write one row for each image with --layout wide"
            );
        }
        Ok(Exit::Complete)
    }

    /// Writes everything to one output. Returns the number of rows and the name of the output.
    fn write(
        &self,
        rows: &mut Export<'_>,
        shape: Shape,
        notation: Notation,
        continues: impl Fn() -> bool,
    ) -> Result<(u64, String), export::Error> {
        let mut output = Output::open_in(&self.output, notation)?;
        let count = export::write(rows, shape, &mut output, continues)?;
        let target = output.target().to_owned();
        output.commit()?;
        Ok((count, target))
    }

    /// What the rows look like.
    ///
    /// # Errors
    /// [`Usage`] if the options contradict each other.
    fn shape(&self) -> Result<Shape, Usage> {
        if self.excel && self.format != Format::Csv {
            return Err(Usage(
                "--excel is for CSV; leave out --excel or --format jsonl".to_owned(),
            ));
        }
        if self.split.is_some() && self.output.as_os_str() == "-" {
            return Err(Usage("--split needs a file: name it with -o".to_owned()));
        }
        let known = Column::of(self.layout);
        let columns = if self.columns.is_empty() { known } else { &self.columns };
        for (place, column) in columns.iter().enumerate() {
            if !known.contains(column) {
                return Err(Usage(format!(
                    "this layout has no column {column}; it has {}",
                    export::names(known)
                )));
            }
            if columns[..place].contains(column) {
                return Err(Usage(format!("--columns names {column} twice")));
            }
        }
        let mut columns = columns.to_vec();
        if self.since_run.is_some() {
            if !columns.contains(&Column::Key) {
                return Err(Usage(
                    "--since-run needs the column key: without it, rows that changed cannot be found again".to_owned(),
                ));
            }
            columns.push(Column::Deleted);
        }
        Ok(Shape {
            format: self.format,
            dialect: if self.excel { Dialect::Excel } else { Dialect::Plain },
            layout: self.layout,
            columns,
        })
    }
}

/// Checks that it is known what changed after the run `since`. Returns the run to name next time.
///
/// # Errors
/// [`Usage`] if it is not known; any error of a read.
fn since_run(reader: &Reader, since: i64) -> anyhow::Result<Option<i64>> {
    let unknown = match (reader.run(since)?, reader.changes_since()?) {
        (None, _) => format!(
            "there is no run {since}: export everything once, then name a run that status shows"
        ),
        (Some(run), _) if run.pruned => format!(
            "the details of run {since} were removed by costag prune, so it is too old to begin from: export everything \
             once, then name a later run"
        ),
        (Some(_), None) => "an earlier version of costag wrote this database, which did not record when something changed: \
                            export everything once; after the next run, name the last run before it"
            .to_owned(),
        (Some(_), Some(first)) if since < first => format!(
            "what changed after run {since} is not known, because an earlier version of costag made the runs before run \
             {first}: export everything once, then use --since-run {first} or a later run"
        ),
        (Some(_), Some(_)) => return Ok(reader.last_ended_run()?),
    };
    Err(Usage(unknown).into())
}
