//! `costag plan`: what a run would call, what that may cost, and how long it takes.

mod model;
mod text;

use jiff::Timestamp;

use self::model::Plan;
use crate::cli::answer;
use crate::cli::connect;
use crate::cli::execute_job;
use crate::cli::exit::{self, Exit};
use crate::cli::opened;
use crate::cli::options::global::GlobalOptions;
use crate::cli::outcome::reporter::Reporter;
use crate::cli::suggest::Again;
use crate::cli::target::Target;
use crate::cli::zone;
use crate::config::{Budget, Settings};
use crate::job::{End, Job, Purpose, Report};
use crate::store::Reader;
use crate::visible::Notation;

/// Show what a run would call, what it may cost and how long it takes, without calling
///
/// Lists the bucket and compares the listing with the database. Only the numbers of the plan are saved, so a later run
/// works as if there had been no plan. Takes all options of `costag run`. With limits (--limit, --sample, --max-calls,
/// --max-cost, --daily-calls), it shows what a run with these limits would call and what would remain. Images that an
/// unfinished run has left are counted too.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A parser that knows the options of `costag plan` and those of every command. The options that only `costag run` has take
/// no values, so this parser also tells which options of a run have values.
pub(in crate::cli) fn parser() -> clap::Command {
    use clap::Args as _;
    Args::augment_args(GlobalOptions::augment_args(clap::Command::new("plan")))
}

impl Args {
    /// A plan of this source, with its settings.
    pub(in crate::cli) fn new(target: Target, json: bool) -> Self {
        Self { target, json }
    }

    /// Lists, compares, and prints the plan.
    ///
    /// # Errors
    /// The same as those of a run.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let reporter = Reporter::new("plan", self.json);
        match self.plan(global) {
            Ok((Exit::Complete, _)) => Ok(Exit::Complete),
            // There is no plan to print, so the summary says why.
            result => Ok(reporter.ends(result)),
        }
    }

    fn plan(self, global: &GlobalOptions) -> anyhow::Result<(Exit, Option<Report>)> {
        let (settings, bucket, source) = self.target.resolve(self.target.inputs(global)?)?;
        let shown = source.describe(bucket.as_str());
        let report = execute_job::runtime()?.block_on(async {
            let region = settings.stored.region.as_deref();
            let endpoint = settings.stored.endpoint.as_deref();
            let client = connect::bucket_client(&bucket, region, endpoint, &settings).await?;
            let store = opened::open(&settings.db)?;
            // The time window limits calls, and a plan makes none.
            let budget = Budget { until: None, max_duration: None, ..settings.budget.clone() };
            let unhurried = Settings { budget, ..settings.clone() };
            let job = Job::begin(store, client, &bucket, source, unhurried, Purpose::Plan)?;
            Box::pin(execute_job::run_without_summary(job)).await
        })?;
        if !matches!(report.end, End::Complete) {
            return Ok((exit::explain_end(&report, &Again::planned()), Some(report)));
        }
        let needed = report.needed.clone().unwrap_or_default();
        let measured = Reader::open(&settings.db)?.measured_pace()?;
        let plan = Plan::new(
            shown,
            &report,
            &needed,
            measured,
            &settings,
            &Timestamp::now().to_zoned(zone::local()),
        );
        let text = if self.json {
            serde_json::to_string_pretty(&plan)? + "\n"
        } else {
            text::text(&plan, &settings, &Again::typed().planned_run(&parser()).whole())
        };
        let notation = if self.json { Notation::Json } else { Notation::Text };
        Ok((answer::write("the plan", &text, notation, Exit::Complete), None))
    }
}
