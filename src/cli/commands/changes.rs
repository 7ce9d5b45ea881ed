//! `costag changes`: the journal of a run.

use std::str::FromStr;

use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::options::global::GlobalOptions;
use crate::cli::rows::{FormOptions, Rows};
use crate::export;
use crate::store::Reader;
use crate::store::model::ChangeKind;
use crate::store::read::Change;
use crate::visible::visible;

/// Show what a run's listing found added, changed, gone or moved
///
/// The first complete listing of a source has nothing to compare with and journals nothing. As text a line is a kind
/// and a key; CSV and JSON lines have the bucket, the key it had before (moved), ETag and size of the content too. Of
/// what changed, ETag and size are those before the change; they are empty for objects that were never wanted.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "it is the help's text")]
pub struct Args {
    /// A run's number, or last
    #[arg(long, value_name = "N|last", default_value = "last")]
    run: WhichRun,
    /// Only this kind: added, changed, gone or moved; may be repeated
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
            number => {
                number.parse().map(Self::Number).map_err(|_| "expected a run's number, or last")
            }
        }
    }
}

fn kind(text: &str) -> Result<ChangeKind, String> {
    ChangeKind::from_name(text).ok_or_else(|| "expected added, changed, gone or moved".to_owned())
}

const COLUMNS: [&str; 7] = ["run_id", "kind", "bucket", "key", "from_key", "etag", "size"];

impl Args {
    /// Prints the entries, and on stderr which run it was.
    ///
    /// # Errors
    /// No such run, an unusable database or output.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|_| ())?;
        let reader = Reader::open(&settings.db)?;
        let run = match self.run {
            WhichRun::Last => reader.last_run()?,
            WhichRun::Number(id) => reader.run(id)?,
        };
        let Some(run) = run else {
            anyhow::bail!(Usage(match self.run {
                WhichRun::Last => "there is no run yet".to_owned(),
                WhichRun::Number(id) => format!("there is no run {id}: see `costag status`"),
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
        if run.journals {
            say!("run {} over {source}: {count} changes", run.id);
        } else {
            say!(
                "run {} over {source} was the first listing of its source, or no listing: it has no journal",
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
