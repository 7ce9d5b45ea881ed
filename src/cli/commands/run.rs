//! `costag run`: tag a bucket, a prefix, or a list of keys or URLs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::connect;
use crate::cli::execute_job;
use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::opened;
use crate::cli::options::global::{GlobalOptions, Inputs};
use crate::cli::options::job::JobOptions;
use crate::cli::outcome::metrics_path;
use crate::cli::outcome::reporter::Reporter;
use crate::cli::signals::Interrupt;
use crate::cli::suggest::{self, Again};
use crate::cli::target::Target;
use crate::cli::terminal;
use crate::config::Profile;
use crate::job::{Job, Purpose, Report};
use crate::visible::visible;

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
    /// Run over the bucket of every profile, one after the other, in the order of their file; a failure does not stop the
    /// others, and the exit code is the worst of all
    #[arg(long, conflicts_with_all = ["address", "keys", "urls", "inventory", "dry_run"])]
    all: bool,
    #[command(flatten)]
    job: JobOptions,
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
        (self.target, self.job.json)
    }

    /// Runs until everything is done or the run is stopped.
    ///
    /// # Errors
    /// The settings are wrong, the database is unusable, or credentials are missing.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let mut reporter = Reporter::new("run", self.job.json);
        if self.all {
            return self.run_all(global).or_else(|error| {
                reporter.failed_to_begin(|| self.target.readable_settings(global, None));
                Ok(reporter.ends(Err(error)))
            });
        }
        let result = self.target.inputs(global).and_then(|inputs| self.run(inputs, &mut reporter));
        if result.is_err() {
            reporter.failed_to_begin(|| self.target.readable_settings(global, None));
        }
        Ok(reporter.ends(result))
    }

    /// Runs over the bucket of each profile. Only a signal stops what follows.
    fn run_all(&self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        if global.profile().is_some() {
            anyhow::bail!(Usage(
                "--all means every profile, so --profile has no meaning beside it: leave one of them out"
                    .to_owned()
            ));
        }
        let inputs = self.target.inputs(global)?;
        let profiles = inputs.files().profiles();
        if profiles.is_empty() {
            anyhow::bail!(Usage(format!(
                "--all runs over profiles, and {}",
                inputs.files().known_profiles()
            )));
        }
        // A run watches for signals by itself. This one also notices those that come between two runs.
        let interrupt = Interrupt::watch()
            .context("signals cannot be watched; check the limits of this process (`ulimit -a`)")?;
        let mut worst = Exit::Complete;
        let mut ended = Vec::new();
        let mut metrics_files = BTreeMap::new();
        for Profile { name, .. } in profiles {
            if let Some(exit) = interrupt.exit() {
                worst = exit;
                break;
            }
            terminal::be_quiet_again();
            let mut reporter = Reporter::new("run", self.job.json).of_profile(name);
            suggest::choose_profile(name);
            let mut inputs = inputs.clone();
            let result = inputs.choose(name).map_err(anyhow::Error::from).and_then(|()| {
                warn_of_metrics(&inputs, name, &mut metrics_files);
                self.run(inputs, &mut reporter)
            });
            if result.is_err() {
                reporter.failed_to_begin(|| self.target.readable_settings(global, Some(name)));
            }
            let exit = reporter.ends(result);
            ended.push(format!("{name} {}", exit.code()));
            worst = worst.or_worse(exit);
            if exit.signal().is_some() {
                break;
            }
        }
        if worst == Exit::Complete {
            terminal::be_quiet_again();
        } else {
            terminal::be_loud();
        }
        let left = profiles.len() - ended.len();
        let left = if left > 0 { format!("; {left} not begun") } else { String::new() };
        say!(
            "exit codes of the profiles: {}{left}; all together {}",
            ended.join(", "),
            worst.code()
        );
        Ok(worst)
    }

    fn run(
        &self,
        inputs: Inputs,
        reporter: &mut Reporter,
    ) -> anyhow::Result<(Exit, Option<Report>)> {
        let (settings, bucket, source) = self.target.resolve(inputs)?;
        reporter.begins(&settings, &source.describe(bucket.as_str()));
        execute_job::runtime()?.block_on(async {
            let region = settings.stored.region.as_deref();
            let endpoint = settings.stored.endpoint.as_deref();
            let client = connect::bucket_client(&bucket, region, endpoint, &settings).await?;
            let database = settings.db.clone();
            let store = opened::open(&database)?;
            let job = Job::begin(store, client, &bucket, source, settings, Purpose::Tag)?;
            reporter.works();
            execute_job::hold_until_confirmed(&job, self.job.yes);
            let again = Again::typed();
            let (exit, report) =
                Box::pin(execute_job::run_with_summary(job, &database, &again)).await?;
            Ok((exit, Some(report)))
        })
    }
}

/// Warns if the metrics of a profile replace those of an earlier one.
fn warn_of_metrics(inputs: &Inputs, name: &str, files: &mut BTreeMap<PathBuf, String>) {
    let Ok((settings, _)) = inputs.resolve() else { return };
    let Some(path) = metrics_path(&settings) else { return };
    let shown = path.display().to_string();
    if let Some(other) = files.insert(path, name.to_owned()) {
        say!(
            "warning: the metrics of the profile {name} replace those of {other} in {}: write {{profile}} into \
             metrics_file, which stands for the name of the profile",
            visible(&shown)
        );
    }
}
