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

/// Commands to begin with.
const EXAMPLES: &str = "Examples:
  The first twenty images of a bucket, to see what they cost:
    costag run cos://photos-1250000000 --region ap-guangzhou --limit 20
  A folder, in two scenes, at most ten calls a second:
    costag run cos://photos-1250000000/2026/ -r ap-guangzhou --scenes web,camera --qps 10
  What a run would do, without a call:
    costag run cos://photos-1250000000 -r ap-guangzhou --dry-run
  Every night until half past six, within a budget:
    costag run cos://photos-1250000000 -r ap-guangzhou --until 06:30 --max-calls 50000
  The keys of a list:
    costag run cos://photos-1250000000 -r ap-guangzhou --keys keys.txt";

/// Tag every image of a bucket, a prefix, or a list of keys or URLs
///
/// Lists the bucket, compares the listing with the database, and calls detect-label once for each image that lacks a
/// label of a wanted scene. An interrupted run of the same source continues where it stopped. An image that is labelled
/// is not called, or paid, again.
#[derive(Debug, clap::Args)]
#[command(after_help = "costag run --help shows all options, and examples", after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Do not ask before more than --confirm-above units of billing are used; without a terminal nobody is asked
    #[arg(short, long)]
    yes: bool,
    /// Print a summary as one line of JSON at the end
    #[arg(long)]
    json: bool,
    /// Only show what the run would do, as plan does: nothing is called
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Args {
    /// Whether the run is only to be planned.
    pub(in crate::cli) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// What a plan of this run takes: the source with its settings, and whether it writes JSON.
    pub(in crate::cli) fn into_plan(self) -> (Target, bool) {
        (self.target, self.json)
    }

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
