//! `costag doctor`: checks line by line whether a run can work.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::cli::address::Address;
use crate::cli::answer;
use crate::cli::connect;
use crate::cli::execute_job;
use crate::cli::exit::{self, Exit};
use crate::cli::fault::chain;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfRequests, SettingOptions};
use crate::cli::rows::{FormOptions, Rows};
use crate::cli::takes;
use crate::cli::terminal;
use crate::config::{self, Files, Filter, Settings};
use crate::cos::{self, Bucket, Client, ListRequest, ObjectEntry, Provider, Target};
use crate::export;
use crate::job::verdict::{Operation, advice};
use crate::numbers::counted;
use crate::store::read::Doubtful;
use crate::store::{self, Reader};
use crate::visible::visible;

/// Seconds. If the clock is off by more than this, the person is asked to set it. Requests are signed with the service's
/// time in any case.
const SKEW: i64 = 60;

/// How often a request is signed again if the service refuses it because of its time.
const TRIES: u32 = 3;

/// Check credentials, clock, endpoint, permissions and database before a run
///
/// Prints one line per check: ok, FAIL with what to do, warn, or skip. Makes two or three list requests. With -y, or after
/// a question, it also makes one detect-label call, which is paid and does not appear in the ledger. The exit code is that
/// of the first failed check.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    address: Address,
    /// Make the detect-label call without asking
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    form: FormOptions,
    #[command(flatten)]
    options: SettingOptions<OfRequests>,
}

/// The columns, and the members of each object.
const COLUMNS: [&str; 3] = ["result", "check", "text"];

/// A line, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    result: &'a str,
    check: &'a str,
    text: &'a str,
}

/// Prints the line of each check at once, and remembers the first failure.
struct Lines {
    rows: Rows,
    /// Why no further line can be written. The checks go on, because the exit code is an answer too.
    written: Result<(), export::Error>,
    first: Option<Exit>,
}

impl Lines {
    fn line(&mut self, state: &str, what: &str, text: &str) {
        if self.written.is_ok() {
            let line = Line { result: state, check: what, text };
            let cells = || [state, what, text].map(str::to_owned);
            let row = |out: &mut Vec<u8>| {
                let _ = writeln!(out, "{state:<4}  {what:<13} {}", visible(text));
            };
            self.written = self.rows.row(&line, cells, row).and_then(|()| self.rows.flush());
        }
    }

    fn ok(&mut self, what: &str, text: &str) {
        self.line("ok", what, text);
    }

    fn skip(&mut self, what: &str, text: &str) {
        self.line("skip", what, text);
    }

    /// Ends the checks because of wrong settings.
    fn unconfigured(mut self, error: config::Error) -> Exit {
        let error = anyhow::Error::from(error);
        self.fail("configuration", &chain(error.as_ref()), Exit::of(&error));
        self.end()
    }

    fn fail(&mut self, what: &str, text: &str, exit: Exit) {
        self.first.get_or_insert(exit);
        self.line("FAIL", what, text);
    }

    /// Ends the checks, and returns the exit code of the first failure.
    fn end(self) -> Exit {
        let written = self.written.and_then(|()| self.rows.end().map(|_| ()));
        answer::after("the result", written, self.first.unwrap_or(Exit::Complete))
    }
}

impl Args {
    /// Makes the checks one after the other.
    ///
    /// # Errors
    /// The address is wrong, or the runtime cannot be started. What a check finds is a line and not an error.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let mut lines =
            Lines { rows: Rows::begin(self.form.form(), &COLUMNS)?, written: Ok(()), first: None };
        let mut inputs = match global.inputs(|options| self.options.give(options)) {
            Ok(inputs) => inputs,
            Err(error) => return Ok(lines.unconfigured(error)),
        };
        let (bucket, prefix) = self.address.resolve(&mut inputs)?;
        let settings = match inputs.settings() {
            Ok(settings) => settings,
            Err(error) => return Ok(lines.unconfigured(error)),
        };
        lines.ok("configuration", &configuration(inputs.files()));
        database(&settings.db, &mut lines);
        execute_job::runtime()?.block_on(async {
            let Some(provider) = credentials(&settings, &mut lines).await else { return Ok(()) };
            let Some(client) = client(&bucket, provider, &settings, &mut lines) else {
                return Ok(());
            };
            // No call is paid for whose result nobody can read.
            if list(&client, &bucket, &prefix, &settings, &mut lines).await && lines.written.is_ok()
            {
                self.call(&client, &prefix, &settings, &mut lines).await?;
            }
            anyhow::Ok(())
        })?;
        Ok(lines.end())
    }

    /// Makes one real call, if it is allowed.
    async fn call(
        &self,
        client: &Client,
        prefix: &str,
        settings: &Settings,
        lines: &mut Lines,
    ) -> anyhow::Result<()> {
        const WHAT: &str = "detect-label";
        if !self.yes && !terminal::can_ask() {
            lines.skip(WHAT, "not called, because a call is paid: -y allows one call");
            return Ok(());
        }
        let request = ListRequest { prefix: prefix.to_owned(), ..ListRequest::default() };
        let page = match client.list(&request).await {
            Ok(page) => page,
            Err(error) => {
                refused(WHAT, Operation::List, &error, lines);
                return Ok(());
            }
        };
        let suffixes = &settings.stored.filter.suffixes;
        let is_image = |key: &str| {
            let suffix = key.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
            suffixes.is_empty() || suffix.is_some_and(|suffix| suffixes.contains(&suffix))
        };
        let image = page
            .entries
            .iter()
            .find(|entry| is_image(&entry.key) && entry.size > Some(0) && !is_archived(entry));
        let Some(image) = image else {
            lines.skip(WHAT, "there is no image among the first keys of the address");
            return Ok(());
        };
        let question =
            format!("call detect-label once for {}? the call is paid", visible(&image.key));
        if !self.yes && !terminal::confirm(&question)? {
            lines.skip(WHAT, "not called");
            return Ok(());
        }
        let begun = Instant::now();
        match client.detect_label(Target::Key(&image.key), settings.stored.scenes).await {
            Ok(answer) => lines.ok(
                WHAT,
                &format!(
                    "{} for {} in {} ms{}",
                    counted(answer.labels.len() as u64, "label"),
                    image.key,
                    begun.elapsed().as_millis(),
                    if answer.emulated { ", by the emulator" } else { "" }
                ),
            ),
            Err(error) => refused(WHAT, Operation::Label, &error, lines),
        }
        Ok(())
    }
}

fn configuration(files: &Files) -> String {
    let paths: Vec<_> = files.paths().map(|path| path.display().to_string()).collect();
    match (&paths[..], files.chosen()) {
        ([], _) => "no file; options, environment and defaults apply".to_owned(),
        (paths, None) => paths.join(", "),
        (paths, Some(profile)) => format!("{}; profile {}", paths.join(", "), profile.name),
    }
}

/// Checks whether a run could write the database. No database is created for this, only a file of another name that is
/// removed at once.
fn database(path: &Path, lines: &mut Lines) {
    const WHAT: &str = "database";
    let shown = path.display();
    let exists = path.exists();
    if exists {
        let found = Reader::open(path).and_then(|reader| {
            reader.check_writable()?;
            Ok(reader.is_running())
        });
        match found {
            Ok(true) => lines.ok(WHAT, &format!("{shown}: a run is in progress")),
            // The next run migrates an older database.
            Ok(false) | Err(store::Error::Older { .. }) => {}
            Err(error) => {
                let error = anyhow::Error::from(error);
                return lines.fail(WHAT, &chain(error.as_ref()), Exit::of(&error));
            }
        }
    }
    let writable =
        if exists { OpenOptions::new().write(true).open(path).map(drop) } else { Ok(()) };
    match writable.and_then(|()| folder_is_writable(path)) {
        Ok(()) if exists => lines.ok(WHAT, &format!("{shown} can be written")),
        Ok(()) => lines.ok(WHAT, &format!("{shown} does not exist yet: the first run creates it")),
        Err(error) => lines.fail(
            WHAT,
            &format!(
                "{shown} cannot be written ({error}): check its permissions, or use another --db"
            ),
            Exit::Local,
        ),
    }
}

/// Checks that files can be created beside the database: its log is kept there.
fn folder_is_writable(database: &Path) -> io::Result<()> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    let probe: PathBuf =
        folder.unwrap_or(Path::new(".")).join(format!(".costag-doctor-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

async fn credentials(settings: &Settings, lines: &mut Lines) -> Option<Arc<Provider>> {
    const WHAT: &str = "credentials";
    let found = match connect::discover_credentials(&settings.credentials).await {
        Ok(provider) => match provider.current(&cos::Clock::default()).await {
            Ok(credentials) => Ok((provider, credentials)),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let (provider, credentials) = match found {
        Ok(found) => found,
        Err(error) => {
            let text = chain(&error);
            let todo = "the help of run describes all sources under Credentials";
            lines.fail(WHAT, &format!("{text}; {todo}"), Exit::Credentials);
            return None;
        }
    };
    let ends = match (credentials.expires_at, &credentials.token) {
        (Some(end), _) => {
            let mut text = Vec::new();
            crate::export::iso_seconds(end, &mut text);
            format!("temporary, until {}", String::from_utf8_lossy(&text))
        }
        (None, Some(_)) => "temporary".to_owned(),
        (None, None) => "permanent".to_owned(),
    };
    let (source, id) = (provider.source(), credentials.shown_id());
    lines.ok(WHAT, &format!("from {source}: id {id}, {ends}"));
    for warning in provider.warnings() {
        // A run works all the same, but other users can read the secret.
        lines.line("warn", WHAT, warning);
    }
    Some(Arc::new(provider))
}

fn client(
    bucket: &Bucket,
    provider: Arc<Provider>,
    settings: &Settings,
    lines: &mut Lines,
) -> Option<Client> {
    let stored = &settings.stored;
    let (region, endpoint) = (stored.region.as_deref(), stored.endpoint.as_deref());
    let built = connect::endpoint(bucket, region, endpoint, settings.connection.allow_http)
        .and_then(|endpoint| connect::endpoint_client(endpoint, provider, settings));
    match built {
        Ok(client) => Some(client),
        Err(error) => {
            lines.fail("endpoint", &chain(error.as_ref()), Exit::of(&error));
            None
        }
    }
}

/// Makes a list request, which shows whether the endpoint answers and how fast, what time it is there, and whether listing
/// is allowed. Returns whether listing is allowed.
async fn list(
    client: &Client,
    bucket: &Bucket,
    prefix: &str,
    settings: &Settings,
    lines: &mut Lines,
) -> bool {
    let request = ListRequest { prefix: prefix.to_owned(), max_keys: 1, ..ListRequest::default() };
    let begun = Instant::now();
    let mut answer = client.list(&request).await;
    let milliseconds = begun.elapsed().as_millis();
    let host = client.endpoint().host();
    if let Err(error) = &answer
        && error.status().is_none()
    {
        refused("endpoint", Operation::List, error, lines);
        return false;
    }
    lines.ok("endpoint", &format!("{host} answered in {milliseconds} ms"));
    for _ in 0..TRIES {
        let Err(error) = &answer else { break };
        if !error.service().is_some_and(cos::ServiceError::complains_of_time) {
            break;
        }
        // This clock or that of one node of the service is wrong: sign the request again with the time of the answer.
        client.correct_clock(error);
        answer = client.list(&request).await;
    }
    match client.clock().measured() {
        None => lines.skip("clock", "the answer has no time"),
        Some(skew) => {
            let side = if skew > 0 { "behind" } else { "ahead of" };
            let text = match skew.abs() {
                0..=2 => "agrees with the service".to_owned(),
                seconds => format!("{seconds} s {side} the service"),
            };
            if skew.abs() > SKEW {
                let todo = "requests are signed with the service's time; set this machine's clock";
                lines.line("warn", "clock", &format!("{text}: {todo}"));
            } else {
                lines.ok("clock", &text);
            }
        }
    }
    let proven = answer.and_then(|page| {
        page.prove(&request).map_err(|error| client.without_secrets(error.into()))?;
        // A run makes the same check: an endpoint may serve another bucket.
        if let Some(echo) = page.name.clone().filter(|name| name != bucket.as_str()) {
            let asked = bucket.as_str().to_owned();
            let error = cos::list::Unproven::Bucket { asked, echo };
            return Err(client.without_secrets(error.into()));
        }
        Ok(page)
    });
    match proven {
        Ok(page) if page.entries.is_empty() => {
            lines.ok("list", "allowed; there is no object at the address");
            true
        }
        Ok(page) => {
            let by = if page.emulated { ", by the emulator" } else { "" };
            let images = images(client, prefix, settings).await;
            lines.ok("list", &format!("allowed{by}{images}"));
            true
        }
        Err(error) => {
            refused("list", Operation::List, &error, lines);
            false
        }
    }
}

/// Describes the objects on the first page of the address that the service may refuse, after a semicolon.
async fn images(client: &Client, prefix: &str, settings: &Settings) -> String {
    let request = ListRequest { prefix: prefix.to_owned(), ..ListRequest::default() };
    let Ok(page) = client.list(&request).await else { return String::new() };
    let (keys, mut wanted, mut doubtful) = (page.entries.len(), 0_u64, Doubtful::default());
    for entry in page.entries.iter().filter(|entry| is_wanted(entry, settings)) {
        wanted += 1;
        let larger = entry.size.is_some_and(|size| size > takes::LARGEST);
        doubtful.larger += u64::from(larger);
        doubtful.other_formats += u64::from(!takes::is_documented(&entry.key));
    }
    let keys = counted(keys as u64, "key");
    let of = format!("{} among its first {keys}", counted(wanted, "wanted object"));
    takes::text(doubtful, &of).map_or_else(String::new, |text| format!("; {text}"))
}

/// Whether the name of the object's storage class says that it is an archive class. This includes classes that are not
/// known yet.
fn is_archived(entry: &ObjectEntry) -> bool {
    entry.storage_class.as_ref().is_some_and(|class| class.name().contains("ARCHIVE"))
}

/// Whether a run would call for the object, according to its suffix, size and storage class. Globs are not considered.
fn is_wanted(entry: &ObjectEntry, settings: &Settings) -> bool {
    let Filter { suffixes, min_size, max_size, archive, .. } = &settings.stored.filter;
    let suffix = entry.key.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
    (suffixes.is_empty() || suffix.is_some_and(|suffix| suffixes.contains(&suffix)))
        && !entry.key.ends_with('/')
        && entry.size.is_none_or(|size| {
            size > 0 && size >= *min_size && max_size.is_none_or(|most| size <= most)
        })
        && (*archive || !is_archived(entry))
}

fn refused(what: &str, operation: Operation, error: &cos::Error, lines: &mut Lines) {
    let mut text = chain(error);
    if let Some(advice) = advice(operation, error) {
        text.push_str("; ");
        text.push_str(advice);
    }
    lines.fail(what, &text, exit::of_request(operation, error));
}
