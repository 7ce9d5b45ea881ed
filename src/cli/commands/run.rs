//! `costag run`: tag a bucket, a prefix, or a list of keys or URLs.

use crate::cli::connect;
use crate::cli::execute_job;
use crate::cli::exit::Exit;
use crate::cli::opened;
use crate::cli::options::global::GlobalOptions;
use crate::cli::outcome::reporter::Reporter;
use crate::cli::suggest::Again;
use crate::cli::target::Target;
use crate::job::{Job, Purpose, Report};

/// Tag every image of a bucket, a prefix, or a list of keys or URLs
///
/// Lists the bucket, compares the listing with the database, and calls detect-label once for each image that lacks a
/// label of a wanted scene. An interrupted run of the same source continues where it stopped. An image that is labelled
/// is not called, or paid, again.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Do not ask before more than --confirm-above units of billing are used; without a terminal nobody is asked
    #[arg(short, long)]
    yes: bool,
    /// Print a summary as one line of JSON at the end
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs until everything is done or the run is stopped.
    ///
    /// # Errors
    /// The settings are wrong, the database is unusable, or credentials are missing.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let mut reporter = Reporter::new("run", self.json);
        let result = self.run(global, &mut reporter);
        reporter.ends(result)
    }

    fn run(
        self,
        global: &GlobalOptions,
        reporter: &mut Reporter,
    ) -> anyhow::Result<(Exit, Option<Report>)> {
        let (settings, bucket, source) = self.target.resolve(global)?;
        reporter.begins(&settings, &source.describe(bucket.as_str()));
        execute_job::runtime()?.block_on(async {
            let region = settings.stored.region.as_deref();
            let endpoint = settings.stored.endpoint.as_deref();
            let client = connect::bucket_client(&bucket, region, endpoint, &settings).await?;
            let database = settings.db.clone();
            let store = opened::open(&database)?;
            let job = Job::begin(store, client, &bucket, source, settings, Purpose::Tag)?;
            reporter.works();
            execute_job::hold_until_confirmed(&job, self.yes);
            let again = Again::typed();
            let (exit, report) =
                Box::pin(execute_job::run_with_summary(job, &database, &again)).await?;
            Ok((exit, Some(report)))
        })
    }
}
