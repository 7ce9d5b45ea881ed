//! `costag resume`: go on with the last run that was interrupted, stopped or killed.

use super::drive;
use super::exit::Exit;
use super::global::GlobalOptions;
use super::settings::ResumeOptions;
use super::table;
use crate::cos::Bucket;
use crate::job::{End, Job, RunSettings};
use crate::store::{Error, Reader, Store};

/// Go on with the last run that was interrupted, stopped or killed
///
/// Source, region, endpoint, scenes and filters are the run's own; pace, workers, budgets and connection are those of
/// this command.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: ResumeOptions,
    /// Do not ask before more than --confirm-above calls; without a terminal nothing is asked
    #[arg(short, long)]
    yes: bool,
}

impl Args {
    /// Goes on to the end, or until it is stopped again; with nothing unfinished it says so.
    ///
    /// # Errors
    /// Wrong settings, an unusable database, missing credentials.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| self.options.give(options))?;
        let database = settings.db.clone();
        // A missing database is none to resume; opening it for writing would make one.
        if let Err(missing @ Error::Missing { .. }) = Reader::open(&database) {
            return Err(missing.into());
        }
        let store = Store::open(&database)?;
        let mut all = store.unfinished()?.into_iter();
        let Some(unfinished) = all.next() else {
            say!(
                "nothing to resume: no run in {} is unfinished",
                table::visible(&database.display().to_string())
            );
            return Ok(Exit::Complete);
        };
        let RunSettings { bucket, source, stored } = RunSettings::of(&unfinished)?;
        say!(
            "going on with run {} over {}",
            unfinished.id,
            table::visible(&source.describe(&bucket))
        );
        drive::runtime()?.block_on(async {
            let bucket = Bucket::parse(&bucket)?;
            let (region, endpoint) = (stored.region.as_deref(), stored.endpoint.as_deref());
            let client = drive::client(&bucket, region, endpoint, &settings).await?;
            let job = Job::resume(store, client, &unfinished, settings)?;
            drive::hold(&job, self.yes);
            let (exit, report) = Box::pin(drive::drive(job, &database)).await?;
            if let (End::Complete, Some(other)) = (&report.end, all.next()) {
                say!("run {} is unfinished too: `costag resume` goes on with it", other.id);
            }
            Ok(exit)
        })
    }
}
