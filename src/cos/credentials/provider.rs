//! Finds credentials at the start, returns them for each request, and renews them from the same place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tokio::sync::Mutex;

use super::error::Error;
use super::secret::Credentials;
use super::{coscli, coscmd, environment, process, role};
use crate::cos::clock::Clock;
use crate::system;
use crate::time::{UnixMillis, UnixSeconds};

/// How long before the credentials expire they are renewed. Credentials of a shorter life are renewed after
/// half of it.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(10);
/// The time between two attempts to renew while the old credentials are still valid.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// The time limit of `credential_process`.
const PROCESS_LIMIT: Duration = Duration::from_secs(30);
/// The time limit of the metadata service if the settings ask for it.
const ROLE_LIMIT: Duration = Duration::from_secs(5);
/// The time limit of the metadata service as the last place to look at. Most machines have none.
const LAST_RESORT_LIMIT: Duration = Duration::from_secs(1);

/// The places that may have credentials. Places in the settings come before places that are only looked at.
///
/// The order is: `credentials_file`, `credential_process`, `cvm_role`, each if it is set; the variables `COSTAG_…`,
/// `TENCENTCLOUD_…`, `COS_SECRETID…`, `COS_SECRET_ID…`; `~/.cos.yaml`; `~/.cos.conf`; the role of the machine. Only the
/// first place that has credentials is used.
pub struct Sources<'a> {
    /// Returns the value of an environment variable. An empty value counts as unset.
    pub environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// The home directory; `None` if there is none.
    pub home: Option<PathBuf>,
    /// The setting `credentials_file`: a file with lines of `NAME=value`. It is read again to renew the credentials.
    pub credentials_file: Option<PathBuf>,
    /// The setting `credential_process`: a command for `sh -c` that prints JSON. It runs again to renew the credentials.
    pub credential_process: Option<String>,
    /// The setting `cvm_role`: the name of a role, or an empty text for the first role of the machine.
    pub cvm_role: Option<String>,
    /// The address of the metadata service; `None` for its usual one.
    pub metadata_base: Option<String>,
}

/// The place that the credentials come from.
#[derive(Clone)]
enum Source {
    Environment(&'static str),
    File(PathBuf),
    Process(String),
    Coscli(PathBuf),
    Coscmd(PathBuf),
    Role { base: String, role: Option<String> },
}

/// Prints the description without the command, which may contain secrets.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Source {
    /// Describes the place. The command is left out, because it may contain secrets.
    fn describe(&self) -> String {
        match self {
            Self::Environment(id) => format!("the environment variable {id}"),
            Self::File(path) => format!("the environment file {}", path.display()),
            Self::Process(_) => "credential_process".to_owned(),
            Self::Coscli(path) => format!("{} (coscli)", path.display()),
            Self::Coscmd(path) => format!("{} (coscmd)", path.display()),
            Self::Role { role: Some(role), .. } => format!("the machine's role {role}"),
            Self::Role { role: None, .. } => "the machine's role".to_owned(),
        }
    }

    /// Reads the place again. Returns `None` if it cannot change while the program runs.
    async fn fetch(&self) -> Option<Result<Credentials, Error>> {
        Some(match self {
            Self::Environment(_) => return None,
            Self::File(path) => environment::read(path),
            Self::Process(command) => process::run(command, PROCESS_LIMIT).await,
            Self::Coscli(path) => match read_coscli(path) {
                Ok(Some(coscli::Found::Credentials(credentials))) => Ok(credentials),
                Ok(_) => Err(nothing(path)),
                Err(error) => Err(error),
            },
            Self::Coscmd(path) => {
                read_coscmd(path).and_then(|found| found.ok_or_else(|| nothing(path)))
            }
            Self::Role { base, role } => role::fetch(base, role.as_deref(), ROLE_LIMIT).await,
        })
    }
}

fn nothing(path: &Path) -> Error {
    Error::Form { place: path.display().to_string(), reason: "no secret id and key" }
}

/// Returns the text of a file, or `None` if there is no such file.
fn read_optional(path: &Path) -> Result<Option<String>, Error> {
    match crate::text::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::File { path: path.to_owned(), cause }),
    }
}

fn read_coscli(path: &Path) -> Result<Option<coscli::Found>, Error> {
    let text = read_optional(path)?;
    text.map(|text| coscli::parse(&path.display().to_string(), &text)).transpose()
}

fn read_coscmd(path: &Path) -> Result<Option<Credentials>, Error> {
    let Some(text) = read_optional(path)? else { return Ok(None) };
    coscmd::parse(&path.display().to_string(), &text)
}

/// The credentials in use, and what decides when they are renewed.
#[derive(Debug)]
struct State {
    credentials: Arc<Credentials>,
    /// When the credentials were fetched, by this machine's own clock.
    fetched: UnixMillis,
    /// The next attempt to renew is not made before this moment; `None` if the last one succeeded.
    not_before: Option<Instant>,
}

impl State {
    fn new(credentials: Credentials, fetched: UnixMillis) -> Self {
        Self { credentials: Arc::new(credentials), fetched, not_before: None }
    }

    /// Returns `true` if the credentials expire soon or have expired, by this clock.
    fn is_due(&self, clock: &Clock) -> bool {
        // The clock is only read if the credentials expire.
        let Some(end) = self.credentials.expires_at else { return false };
        let fetched = clock.correct_millis(self.fetched).to_seconds();
        let tried = self.not_before.is_some_and(|moment| Instant::now() < moment);
        (clock.now() >= renew_at(&self.credentials, fetched) && !tried)
            || clock.is_certainly_past(end)
    }
}

/// Returns when credentials that are fetched at `now` are renewed; the last moment of all if it is not known when they
/// expire.
pub(super) fn renew_at(credentials: &Credentials, now: UnixSeconds) -> UnixSeconds {
    credentials.expires_at.map_or(UnixSeconds::MAX, |end| {
        let life = end.duration_since(now).max(SignedDuration::ZERO);
        end.saturating_sub(RENEW_BEFORE.min(life / 2))
    })
}

/// Returns the credentials for each request, and renews them in time. All requests share it.
#[derive(Debug)]
pub struct Provider {
    source: Source,
    warnings: Vec<String>,
    state: RwLock<State>,
    /// Held by the request that renews the credentials.
    renewing: Mutex<()>,
}

impl Provider {
    /// Looks at `sources` in their order and takes the first place that has credentials.
    ///
    /// # Errors
    /// Returns an error if the place has only an id or a key, or a value or file that cannot be used. If no place has
    /// credentials, the error names all places.
    pub async fn discover(sources: &Sources<'_>) -> Result<Self, Error> {
        let base = sources.metadata_base.as_deref().unwrap_or(role::BASE).to_owned();
        let taken = |source, credentials| Ok(Self::with_source(source, credentials));
        if let Some(path) = &sources.credentials_file {
            return taken(Source::File(path.clone()), environment::read(path)?);
        }
        if let Some(command) = &sources.credential_process {
            let credentials = process::run(command, PROCESS_LIMIT).await?;
            return taken(Source::Process(command.clone()), credentials);
        }
        if let Some(role) = &sources.cvm_role {
            let role = Some(role.clone()).filter(|role| !role.is_empty());
            return Self::from_role(base, role, ROLE_LIMIT).await;
        }
        if let Some((family, credentials)) = environment::find(sources.environment)? {
            return taken(Source::Environment(family.id), credentials);
        }
        let mut looked: Vec<_> = environment::FAMILIES
            .iter()
            .map(|family| format!("{} and {}", family.id, family.key))
            .collect();
        if let Some(home) = &sources.home {
            let (yaml, conf) = (home.join(".cos.yaml"), home.join(".cos.conf"));
            match read_coscli(&yaml)? {
                Some(coscli::Found::Credentials(found)) => {
                    return taken(Source::Coscli(yaml), found);
                }
                Some(coscli::Found::Role(role)) => {
                    return Self::from_role(base, role, ROLE_LIMIT).await;
                }
                Some(coscli::Found::Nothing) | None => {}
            }
            if let Some(found) = read_coscmd(&conf)? {
                return taken(Source::Coscmd(conf), found);
            }
            looked.push(yaml.display().to_string());
            looked.push(conf.display().to_string());
        }
        match Self::from_role(base, None, LAST_RESORT_LIMIT).await {
            Ok(provider) => Ok(provider),
            Err(error) => {
                tracing::debug!(%error, "this machine has no role");
                looked.push("the machine's role".to_owned());
                Err(Error::NotFound { looked })
            }
        }
    }

    /// Creates a provider that always returns these credentials.
    pub fn fixed(credentials: Credentials) -> Self {
        Self::with_source(Source::Environment("(given)"), credentials)
    }

    async fn from_role(base: String, role: Option<String>, limit: Duration) -> Result<Self, Error> {
        let credentials = role::fetch(&base, role.as_deref(), limit).await?;
        Ok(Self::with_source(Source::Role { base, role }, credentials))
    }

    fn with_source(source: Source, credentials: Credentials) -> Self {
        let warnings = match &source {
            Source::File(path) | Source::Coscli(path) | Source::Coscmd(path) => warn(path),
            _ => Vec::new(),
        };
        let state = RwLock::new(State::new(credentials, UnixMillis::now()));
        Self { source, warnings, state, renewing: Mutex::new(()) }
    }

    /// Describes the place of the credentials for display, without secrets.
    pub fn source(&self) -> String {
        self.source.describe()
    }

    /// Returns warnings about the place for display: that others can read the file.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the credentials to sign with. Renews them first if they expire soon by `clock`.
    ///
    /// The clock may be wrong as long as the service has not accepted it. If the renewal fails, the old credentials are
    /// returned, and the service decides whether they have expired.
    ///
    /// # Errors
    /// Returns an error if the credentials have certainly expired (see [`Clock`]) and their place has no new ones.
    pub async fn current(&self, clock: &Clock) -> Result<Arc<Credentials>, Error> {
        let (credentials, due) = self.peek(clock);
        if !due {
            return Ok(credentials);
        }
        let has_ended = |credentials: &Credentials| {
            credentials.expires_at.is_some_and(|end| clock.is_certainly_past(end))
        };
        let _renewing = match self.renewing.try_lock() {
            Ok(guard) => guard,
            // Another request renews them. There is no need to wait while the old ones are valid.
            Err(_) if !has_ended(&credentials) => return Ok(credentials),
            Err(_) => self.renewing.lock().await,
        };
        let (credentials, due) = self.peek(clock);
        if !due {
            return Ok(credentials);
        }
        let cause = match self.source.fetch().await {
            Some(Ok(fresh)) if !has_ended(&fresh) && !fresh.same(&credentials) => {
                return Ok(self.replace(fresh, clock));
            }
            Some(Ok(_)) | None => None,
            Some(Err(error)) => Some(Box::new(error)),
        };
        if !has_ended(&credentials) {
            tracing::warn!(source = self.source(), "credentials could not be renewed yet");
            self.try_later();
            return Ok(credentials);
        }
        Err(Error::Expired { place: self.source(), cause })
    }

    /// Returns other credentials than `rejected`, which the service has refused.
    ///
    /// If another request has renewed them in the meantime, its credentials are returned.
    ///
    /// # Errors
    /// Returns an error if the place cannot be read or has the same credentials again.
    pub async fn renew(
        &self,
        rejected: &Credentials,
        clock: &Clock,
    ) -> Result<Arc<Credentials>, Error> {
        let _renewing = self.renewing.lock().await;
        let credentials = self.in_use();
        if !credentials.same(rejected) {
            return Ok(credentials);
        }
        match self.source.fetch().await {
            Some(Ok(fresh)) if !fresh.same(rejected) => Ok(self.replace(fresh, clock)),
            Some(Ok(_)) | None => Err(Error::Rejected { place: self.source() }),
            Some(Err(error)) => Err(error),
        }
    }

    /// Returns the credentials in use, and whether to renew them.
    fn peek(&self, clock: &Clock) -> (Arc<Credentials>, bool) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&state.credentials), state.is_due(clock))
    }

    fn in_use(&self) -> Arc<Credentials> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).credentials)
    }

    fn replace(&self, fresh: Credentials, clock: &Clock) -> Arc<Credentials> {
        let state = State::new(fresh, clock.local_millis());
        let credentials = Arc::clone(&state.credentials);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        if self.peek(clock).1 {
            // By this clock the new credentials have expired already. The clock may be wrong.
            self.try_later();
        }
        credentials
    }

    fn try_later(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.not_before = Instant::now().checked_add(TRY_AGAIN);
    }
}

fn warn(path: &Path) -> Vec<String> {
    let mode = std::fs::metadata(path).ok().and_then(|metadata| system::mode(&metadata));
    let others = mode.unwrap_or_default() & 0o077;
    if others == 0 {
        return Vec::new();
    }
    let path = path.display();
    vec![format!("{path} holds secrets and can be read by others: chmod 600 {path}")]
}
