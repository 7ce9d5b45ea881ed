//! `costag resume`: continues the last run that was interrupted, stopped or killed.

use std::path::PathBuf;

use crate::cli::connect;
use crate::cli::execute_job;
use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::opened;
use crate::cli::options::global::{GlobalOptions, Inputs};
use crate::cli::options::groups::{OfRun, SettingOptions};
use crate::cli::options::job::JobOptions;
use crate::cli::outcome::reporter::Reporter;
use crate::cli::suggest::{Again, Suggestion};
use crate::cli::target::tell_unused_filters;
use crate::cli::{resume_endpoint, terminal};
use crate::config::{self, Filter, Origin, Provenance, Settings, Stored};
use crate::cos::Bucket;
use crate::job::{self, End, Job, List, Purpose, Report, RunSettings, Source};
use crate::store::run::UnfinishedRun;
use crate::store::{Error, Reader};
use crate::visible::visible;

/// Continue the last run that was interrupted, stopped or killed
///
/// Repeats the command that began the run: its source, scenes, filters, pace, workers, budgets and window apply again,
/// and an option that is given now replaces the earlier one. Budgets and windows start from zero. Settings from the
/// environment or a file are read again; a limit there applies if it is stricter.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: SettingOptions<OfRun>,
    /// The list of keys again, if the run stopped before it had read all of it; costag does not open a file that only the
    /// database names
    #[arg(long, value_name = "FILE", conflicts_with = "urls")]
    keys: Option<PathBuf>,
    /// The list of URLs again, as --keys
    #[arg(long, value_name = "FILE")]
    urls: Option<PathBuf>,
    /// The manifest of the inventory again, as --keys
    #[arg(
        long,
        value_name = "MANIFEST",
        conflicts_with_all = ["keys", "urls"],
        value_parser = crate::cli::target::manifest()
    )]
    inventory: Option<PathBuf>,
    #[command(flatten)]
    job: JobOptions,
}

impl Args {
    /// Runs until everything is done or the run is stopped again. Says so if no run is unfinished.
    ///
    /// # Errors
    /// The settings are wrong, the database is unusable, or credentials are missing.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let mut reporter = Reporter::new("resume", self.job.json);
        let options = self.options.clone();
        let result = self.resume(global, &mut reporter);
        if result.is_err() {
            reporter
                .failed_to_begin(|| global.readable_settings(|given| options.give(given), None));
        }
        Ok(reporter.ends(result))
    }

    fn resume(
        self,
        global: &GlobalOptions,
        reporter: &mut Reporter,
    ) -> anyhow::Result<(Exit, Option<Report>)> {
        let inputs = global.inputs(|options| self.options.give(options))?;
        let now = inputs.resolve_alone()?;
        let database = now.db.clone();
        // Fails if there is no database. Opening it for writing would create one.
        if let Err(missing @ Error::Missing { .. }) = Reader::open(&database) {
            return Err(missing.into());
        }
        let store = opened::open(&database)?;
        let mut all = store.unfinished()?.into_iter();
        let Some(unfinished) = all.next() else {
            say!(
                "nothing to resume: no run in {} is unfinished",
                visible(&database.display().to_string())
            );
            return Ok((Exit::Complete, None));
        };
        let run = RunSettings::of(&unfinished)?;
        tell_unused_filters(&self.options, &run.source);
        let bucket = Bucket::parse(&run.bucket)?;
        let given = [("keys", self.keys), ("urls", self.urls), ("inventory", self.inventory)];
        let given = given.into_iter().find_map(|(option, file)| Some((option, file?)));
        let named = named(given, &run, unfinished.id)?;
        let (mut settings, origins) = settings_again(&inputs, &unfinished, &run)?;
        say!(
            "continuing run {} over {}",
            unfinished.id,
            visible(&run.source.describe(&run.bucket))
        );
        say!("that command was:\n{}", Again::begun(&run).whole());
        reporter.begins(&settings, &run.source.describe(&run.bucket));
        tell_what_is_stricter(&settings, &origins);
        let place = resume_endpoint::of_run(&unfinished, &run, &bucket, &now, &settings, &origins)?;
        if let Some(stranger) = &place.unconfirmed {
            confirm_endpoint(stranger, &unfinished)?;
        }
        settings.stored = wanted(&run.stored, &settings.stored, &origins);
        tell_new_meaning(&run.stored.filter, &settings.stored.filter);
        settings.stored.region = place.region;
        settings.stored.endpoint = place.endpoint;
        execute_job::runtime()?.block_on(async {
            let Stored { region, endpoint, .. } = &settings.stored;
            let client =
                connect::bucket_client(&bucket, region.as_deref(), endpoint.as_deref(), &settings)
                    .await?;
            let job = if run.wants_as(&settings.stored) {
                let given = |key| matches!(origins.get(key), Some(Origin::Option(_)));
                let new_trial = given("limit") || given("sample");
                Job::resume(store, client, &unfinished, settings, new_trial, named)?
            } else {
                let source = begins_anew(&run, named, &unfinished)?;
                Job::begin(store, client, &bucket, source, settings, Purpose::Tag)?
            };
            reporter.works();
            execute_job::hold_until_confirmed(&job, self.job.yes);
            let again = Again::of(&run, job.settings());
            let (exit, report) =
                Box::pin(execute_job::run_with_summary(job, &database, &again)).await?;
            if let (End::Complete | End::Trial(_), Some(other)) = (&report.end, all.next()) {
                say!(
                    "run {} is unfinished too; to continue it:\n{}",
                    other.id,
                    Suggestion::resume_another()
                );
            }
            Ok((exit, Some(report)))
        })
    }
}

/// The settings of the command that began the run, together with those of this command.
fn settings_again(
    inputs: &Inputs,
    unfinished: &UnfinishedRun,
    run: &RunSettings,
) -> anyhow::Result<(Settings, Provenance)> {
    let typed = run.typed.clone().unwrap_or_default();
    inputs.resolve_again(&typed).map_err(|error| match error {
        // The database is wrong, not this command.
        config::Error::NotKept { .. } | config::Error::Invalid { origin: Origin::Run, .. } => {
            job::Error::Settings { run: unfinished.id, source: error.into() }.into()
        }
        error => error.into(),
    })
}

fn tell_what_is_stricter(settings: &Settings, origins: &Provenance) {
    for (key, origin) in origins {
        let stricter =
            matches!(origin, Origin::Environment(_) | Origin::Profile { .. } | Origin::File(_));
        let typed = settings.typed.command_line(|typed| stricter && typed == *key);
        if !typed.is_empty() {
            let origin = origin.to_string();
            say!(
                "{} is stricter than {} of that command, and applies instead",
                visible(&origin),
                visible(&typed)
            );
        }
    }
}

/// Says which globs of the run have another meaning from now on, although they were not given again.
fn tell_new_meaning(then: &Filter, now: &Filter) {
    if then.globs == now.globs || !then.has_globs() {
        return;
    }
    for (option, then, now) in
        [("--include", &then.include, &now.include), ("--exclude", &then.exclude, &now.exclude)]
    {
        if then == now && then.iter().any(|glob| !glob.contains('/')) {
            say!(
                "{option} '{}' of that run now matches as in this version: a glob without / matches the name at any \
                 depth",
                visible(&then.join("', '"))
            );
        }
    }
}

/// What the run wants, with the options that are given now in place of the earlier ones.
fn wanted(run: &Stored, now: &Stored, origins: &Provenance) -> Stored {
    let given = |key: &str| matches!(origins.get(key), Some(Origin::Option(_)));
    let mut stored = run.replaced_by(now, given);
    if given("include") || given("exclude") {
        stored.filter.globs = now.filter.globs;
    }
    stored
}

/// The list that was named again. Its kind must be that of the run's list.
///
/// # Errors
/// [`Usage`] if it is of another kind, and an error if it cannot be read.
fn named(
    given: Option<(&str, PathBuf)>,
    run: &RunSettings,
    id: i64,
) -> anyhow::Result<Option<Source>> {
    let list = |file: PathBuf, list: &List| List {
        file: (file.as_os_str() != "-").then(|| std::path::absolute(&file).unwrap_or(file)),
        ..list.clone()
    };
    let Some((option, file)) = given else { return Ok(None) };
    let source = match &run.source {
        Source::Keys(then) if run.source.option() == option => Source::Keys(list(file, then)),
        Source::Urls(then) if run.source.option() == option => Source::Urls(list(file, then)),
        _ => anyhow::bail!(Usage(format!(
            "run {id} is over {}, so --{option} cannot be used here",
            run.source.describe(&run.bucket)
        ))),
    };
    source.check(&run.bucket)?;
    Ok(Some(source))
}

/// The source of the new run that is needed because scenes or filters have changed.
fn begins_anew(
    run: &RunSettings,
    named: Option<Source>,
    unfinished: &UnfinishedRun,
) -> anyhow::Result<Source> {
    if !matches!(run.source, Source::Bucket { .. }) && named.is_none() {
        anyhow::bail!(Usage(format!(
            "run {} reads a list, so its scenes, filters and --dedupe can only be changed if the list is given \
             again: give --keys, --urls or --inventory too",
            unfinished.id
        )));
    }
    say!(
        "the scenes or filters differ from those of run {}: a new run replaces it and lists again",
        unfinished.id
    );
    Ok(named.unwrap_or_else(|| run.source.clone()))
}

/// Asks whether signed requests may be sent to an endpoint that only the database names.
///
/// # Errors
/// [`Usage`] if there is no terminal, or the answer is no.
fn confirm_endpoint(endpoint: &str, unfinished: &UnfinishedRun) -> anyhow::Result<()> {
    let shown = visible(endpoint);
    say!(
        "the database names {shown} as the endpoint of run {}. It is not a host of the service, and neither this \
         command, the environment nor a named configuration file gives it",
        unfinished.id
    );
    if terminal::can_ask() {
        if terminal::confirm(&format!("send signed requests to {shown}?"))? {
            return Ok(());
        }
        anyhow::bail!(Usage("the endpoint was not confirmed: nothing was sent".to_owned()));
    }
    let mut command = Suggestion::resume().with(["--endpoint", endpoint]);
    if endpoint.starts_with("http://") && !resume_endpoint::is_loopback(endpoint) {
        command = command.with(["--allow-http"]);
    }
    say!("confirm the endpoint by giving it again:\n{command}");
    anyhow::bail!(Usage("the endpoint is not confirmed: nothing was sent".to_owned()))
}
