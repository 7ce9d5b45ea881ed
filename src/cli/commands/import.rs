//! `costag import`: takes labels from a file.

use std::path::PathBuf;

use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::opened;
use crate::cli::options::global::GlobalOptions;
use crate::cli::progress;
use crate::cli::signals::Interrupt;
use crate::cli::suggest::Suggestion;
use crate::import::{Image, Images, Summary};
use crate::numbers::counted;
use crate::scene::{Scene, Scenes};
use crate::store::model::{Counts, RunState};
use crate::store::run::{NewImport, RunContext};
use crate::store::turn::{Imported, ImportedImage, Reply, Request};
use crate::store::{Reader, Session};
use crate::time::{UnixMillis, UnixSeconds};
use crate::visible::visible;
use indicatif::ProgressBar;

/// The number of images in one transaction.
const BATCH: usize = 500;

/// The largest number of keys that are named because their labels were not taken.
const SHOWN: u64 = 20;

/// Take labels from an earlier export or from a script, so that nothing is paid for twice
///
/// FILE is CSV with one row for each label, as `costag export` writes it; a name that ends in .gz or .zst is decompressed.
/// The columns key, etag, scene, name and confidence are needed. Labels are taken if the key has this `ETag`, for the scenes
/// that have no labels yet; labels that are there stay. Keys that were not listed yet get their labels when a run lists them,
/// if the file has their sizes. Nothing is called, and the ledger counts nothing. It can be stopped at any moment, and the
/// same command continues.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The CSV file
    file: PathBuf,
    /// Take only rows of this bucket, NAME-APPID; needed if the file has no column bucket, or rows of several buckets
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Only say what would be imported; change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// What became of the images.
#[derive(Debug, Default)]
struct Totals {
    /// Images that got labels, and in how many scenes.
    imported: u64,
    scenes: u64,
    /// Those of them whose key was not listed yet.
    waiting: u64,
    /// Images all of whose labels were there already.
    same: u64,
    /// Images that have other labels.
    different: u64,
    /// Keys that have other bytes.
    other_bytes: u64,
    /// Keys that are not in the database.
    unknown: u64,
    /// Images without an `ETag`.
    without_etag: u64,
    /// Images of other buckets.
    elsewhere: u64,
    /// How many keys were named.
    shown: u64,
}

impl Args {
    /// Imports the labels, and reports on stderr what became of the images.
    ///
    /// # Errors
    /// The file or the database is unusable, or a run uses the database (exit code 11).
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|_| ())?;
        // Fails if there is no database. Opening it for writing would create one.
        drop(Reader::open(&settings.db)?);
        let interrupt = Interrupt::watch()?;
        self.refuse_pipe()?;
        let images = Images::open(&self.file)?;
        let names_buckets = images.names_buckets();
        // The whole file is checked before anything is stored.
        let summary = images.sum_up(|| interrupt.exit().is_none())?;
        if let Some(exit) = interrupt.exit() {
            say!("interrupted: nothing was imported");
            return Ok(exit);
        }
        let bucket = self.choose_bucket(&summary, names_buckets)?;
        let mut store = opened::open(&settings.db)?;
        let Some(bucket_id) = store.bucket_of_keys(&bucket)? else {
            return Err(Usage(format!(
                "the database has no bucket {bucket:?}: plan a run over it first (costag plan), or choose another one of \
                 the file with --bucket"
            ))
            .into());
        };
        let now = UnixMillis::now();
        let run_id = if self.dry_run {
            store.simulate()?;
            0
        } else {
            store.recover(now)?;
            store.mark()?;
            let file = self.file.display().to_string();
            store.begin_import(&NewImport { bucket_id, file, started_at: now.to_seconds() })?.id
        };
        let context = RunContext {
            id: run_id,
            bucket_id,
            bucket: bucket.clone(),
            prefix: String::new(),
            scenes: Scenes::NONE,
            dedupe: true,
            list: false,
            urls: false,
            journals: false,
            plan: self.dry_run,
        };
        let mut session = Session::new(store, context, Counts::default());
        let bar = progress::bar(&settings.logging, "imported");
        bar.set_length(summary.images);
        let mut totals = Totals::default();
        let is_complete = self.import(&mut session, &bucket, &mut totals, &bar, &interrupt);
        bar.finish_and_clear();
        let is_complete = match is_complete {
            Ok(is_complete) => is_complete,
            Err(error) => {
                if !self.dry_run {
                    // If the database cannot be written, the next command ends this run.
                    session.set_exit_code(Exit::of(&error).code(), false);
                    let ended =
                        session.finish(RunState::Stopped, Some("error"), UnixSeconds::now());
                    if let Err(error) = ended {
                        tracing::warn!("the end of the import is not stored: {error}");
                    }
                }
                return Err(error);
            }
        };
        let exit = match interrupt.exit().filter(|_| !is_complete) {
            Some(exit) => exit,
            None => totals.exit(),
        };
        if !self.dry_run {
            session.set_exit_code(exit.code(), false);
            let (state, reason) = if is_complete {
                (RunState::Complete, None)
            } else {
                (RunState::Interrupted, Some("interrupted"))
            };
            session.finish(state, reason, UnixSeconds::now())?;
        }
        totals.tell(self.dry_run, summary.deleted);
        if !is_complete {
            say!(
                "interrupted: what was imported stays, and the same command continues:\n{}",
                Suggestion::again()
            );
        }
        Ok(exit)
    }

    /// The file is read twice: once to check it, and once to store it.
    ///
    /// # Errors
    /// [`Usage`] if that is not possible.
    fn refuse_pipe(&self) -> Result<(), Usage> {
        let is_other = std::fs::metadata(&self.file).is_ok_and(|file| !file.is_file());
        if !is_other {
            return Ok(());
        }
        let file = self.file.display().to_string();
        Err(Usage(format!(
            "{} is no regular file: it is read twice, so write it to a file first",
            visible(&file)
        )))
    }

    /// The bucket whose rows are taken.
    ///
    /// # Errors
    /// [`Usage`] if the file does not decide it.
    fn choose_bucket(&self, summary: &Summary, names_buckets: bool) -> Result<String, Usage> {
        if let Some(bucket) = &self.bucket {
            return Ok(bucket.clone());
        }
        let file = visible(&self.file.display().to_string()).into_owned();
        if !names_buckets {
            return Err(Usage(format!(
                "{file} has no column bucket: name the bucket with --bucket"
            )));
        }
        let names: Vec<String> =
            summary.buckets.keys().take(5).map(|name| visible(name).into_owned()).collect();
        match &names[..] {
            [] => Err(Usage(format!("{file} has no labels"))),
            [_] => Ok(summary.buckets.keys().next().cloned().unwrap_or_default()),
            several => Err(Usage(format!(
                "{file} has rows of several buckets ({}): import one after the other with --bucket",
                several.join(", ")
            ))),
        }
    }

    /// Imports image after image. Returns false if a signal came.
    fn import(
        &self,
        session: &mut Session,
        bucket: &str,
        totals: &mut Totals,
        bar: &ProgressBar,
        interrupt: &Interrupt,
    ) -> anyhow::Result<bool> {
        let mut images = Images::open(&self.file)?;
        let names_buckets = images.names_buckets();
        loop {
            if interrupt.exit().is_some() {
                return Ok(false);
            }
            let now = UnixMillis::now();
            let mut turn = session.new_turn();
            let mut read = 0;
            while read < BATCH
                && let Some(image) = images.next_image()?
            {
                read += 1;
                if names_buckets && image.bucket != bucket {
                    totals.elsewhere += 1;
                } else if let Some(image) = of_file(image, now) {
                    turn.requests.push(Request::Import { image, now });
                } else {
                    totals.without_etag += 1;
                }
            }
            if read == 0 {
                return Ok(true);
            }
            if !turn.requests.is_empty() {
                let replies = session.turn(&turn)?.in_place()?;
                for (request, reply) in turn.requests.iter().zip(replies) {
                    if let (Request::Import { image, .. }, Reply::Imported(imported)) =
                        (request, reply)
                    {
                        totals.add(image, imported);
                    }
                }
            }
            bar.inc(read as u64);
        }
    }
}

/// The request for an image. Returns `None` if it has no `ETag`.
fn of_file(image: Image, now: UnixMillis) -> Option<ImportedImage> {
    let Image { key, etag, size, tagged_at, scenes, labels, .. } = image;
    // A time in the future would make later overwrites look like older ones.
    let tagged_at = tagged_at.map_or(now.to_seconds(), |at| at.min(now.to_seconds()));
    Some(ImportedImage { key, etag: etag?, size, scenes, labels, tagged_at })
}

impl Totals {
    fn add(&mut self, image: &ImportedImage, imported: Imported) {
        match imported {
            Imported::Compared { stored, same, different, waits } => {
                if !stored.is_empty() {
                    self.imported += 1;
                    self.scenes += u64::from(stored.len());
                    self.waiting += u64::from(waits);
                }
                self.same +=
                    u64::from(stored.is_empty() && different.is_empty() && !same.is_empty());
                if !different.is_empty() {
                    self.different += 1;
                    let scenes: Vec<_> = different.iter().map(Scene::name).collect();
                    let what = format!("has other labels in {}, which stay", scenes.join(", "));
                    self.name(&image.key, &what);
                }
            }
            Imported::OtherBytes => {
                self.other_bytes += 1;
                self.name(
                    &image.key,
                    "has another ETag or size now, so its labels in the file are of other bytes",
                );
            }
            Imported::Unknown => {
                self.unknown += 1;
                self.name(&image.key, "is not in the database, and the file does not say its size");
            }
        }
    }

    /// Names a key whose labels were not taken.
    fn name(&mut self, key: &str, what: &str) {
        if self.shown < SHOWN {
            say!("{}: {what}", visible(key));
        }
        self.shown += 1;
    }

    fn exit(&self) -> Exit {
        match self.different + self.other_bytes + self.unknown {
            0 => Exit::Complete,
            _ => Exit::ImagesFailed,
        }
    }

    fn tell(&self, dry_run: bool, deleted: u64) {
        if self.shown > SHOWN {
            say!("and {} more", counted(self.shown - SHOWN, "key"));
        }
        say!(
            "{} labels of {} in {}",
            if dry_run { "would import" } else { "imported" },
            counted(self.imported, "image"),
            counted(self.scenes, "scene")
        );
        for (count, what) in [
            (self.waiting, "of them not listed yet: they get the labels when a run lists them"),
            (self.same, "had the same labels already"),
            (self.different, "with other labels, which stay"),
            (self.other_bytes, "with another ETag or size in the database: not imported"),
            (self.unknown, "not in the database: list the bucket first, or add the column size"),
            (self.without_etag, "without an ETag in the file: not imported"),
            (self.elsewhere, "of other buckets: not imported"),
        ] {
            if count > 0 {
                say!("  {}: {what}", counted(count, "image"));
            }
        }
        if deleted > 0 {
            say!(
                "  {} of an export of changes that stand for keys without labels: left out",
                counted(deleted, "row")
            );
        }
    }
}
