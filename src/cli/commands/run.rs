//! `costag run`: tag a bucket, a prefix, or a list of keys or URLs.

use crate::cli::connect;
use crate::cli::execute_job;
use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::cli::target::Target;
use crate::cli::trial::Again;
use crate::job::{Job, Purpose};
use crate::store::Store;

/// Tag every image of a bucket, a prefix, or a list of keys or URLs
///
/// Lists the bucket, compares with what the database knows, and calls detect-label once for each content that lacks
/// a wanted scene. What was interrupted goes on; what is labelled is never paid twice.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Do not ask before more than --confirm-above units of billing; without a terminal nobody is asked
    #[arg(short, long)]
    yes: bool,
}

impl Args {
    /// Runs to the end, or until it is stopped.
    ///
    /// # Errors
    /// Wrong settings, an unusable database, missing credentials.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let (settings, bucket, source) = self.target.resolve(global)?;
        execute_job::runtime()?.block_on(async {
            let region = settings.stored.region.as_deref();
            let endpoint = settings.stored.endpoint.as_deref();
            let client = connect::bucket_client(&bucket, region, endpoint, &settings).await?;
            let database = settings.db.clone();
            let store = Store::open(&database)?;
            let job = Job::begin(store, client, &bucket, source, settings, Purpose::Tag)?;
            execute_job::hold_until_confirmed(&job, self.yes);
            Ok(Box::pin(execute_job::run_with_summary(job, &database, &Again::typed())).await?.0)
        })
    }
}
