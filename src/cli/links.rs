//! Signed links to the objects of buckets, for a browser.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::join_all;

use super::connect;
use super::fault::{Usage, chain};
use super::options::groups::{OfLinks, SettingOptions};
use crate::config::Settings;
use crate::cos::{self, Bucket, Client, Endpoint, Link, LinkRequest, Provider};
use crate::job::RunSettings;
use crate::numbers::counted;
use crate::serve::Pictures;
use crate::store::Reader;
use crate::store::read::Sample;
use crate::visible::visible;

/// The options that make links of keys.
#[derive(Debug, clap::Args)]
pub(super) struct LinkOptions {
    /// Print signed links that open the images in a browser, instead of their keys
    ///
    /// Whoever has a link can open it until it ends. A link is made without a request; each time it is opened, the service
    /// bills a request and its traffic. JSON and CSV have the links beside the keys.
    #[arg(long, conflicts_with = "format")]
    url: bool,
    /// How long the links are valid, from 1m to 7d [default: 1h]
    #[arg(long, value_name = "DURATION", requires = "url")]
    expires: Option<String>,
    #[command(flatten)]
    pub(super) settings: SettingOptions<OfLinks>,
}

impl LinkOptions {
    /// How long the links are valid; `None` if none are wanted.
    ///
    /// # Errors
    /// It is no duration, or not between a minute and seven days.
    pub(super) fn life(&self) -> anyhow::Result<Option<Duration>> {
        let life = crate::config::read_duration(self.expires.as_deref().unwrap_or("1h"))
            .map_err(|reason| Usage(format!("--expires: {reason}")))?;
        if !(Duration::from_mins(1)..=Duration::from_hours(7 * 24)).contains(&life) {
            anyhow::bail!(Usage("--expires: expected a duration from 1m to 7d".to_owned()));
        }
        Ok(self.url.then_some(life))
    }
}

/// How long the link of a picture is valid. The browser opens it at once, and keeps the way to it for a third of this.
const PICTURE: Duration = Duration::from_mins(15);

/// How many pictures are requested at a time.
const AT_ONCE: usize = 8;

/// How many runs are searched for the region of a bucket, the newest first.
const RUNS: u32 = 1_000;

/// Makes links to the objects of one bucket.
#[derive(Debug)]
pub(super) struct Linker {
    client: Client,
    host: Endpoint,
}

impl Linker {
    /// The linker of a bucket. Its region or endpoint is that of the settings, else that of the last run over the bucket.
    ///
    /// # Errors
    /// The region is not known, or an address is unusable.
    pub(super) fn new(
        bucket: &str,
        settings: &Settings,
        provider: Arc<Provider>,
        reader: &Reader,
    ) -> anyhow::Result<Self> {
        let bucket = Bucket::parse(bucket)?;
        let (region, endpoint) = place(&bucket, settings, reader)?;
        let allow_http = settings.connection.allow_http;
        let endpoint =
            connect::endpoint(&bucket, region.as_deref(), endpoint.as_deref(), allow_http)
                .with_context(|| format!("no link to an object of {bucket} can be made"))?;
        let host = host(settings)?.unwrap_or_else(|| endpoint.clone());
        let client = connect::endpoint_client(endpoint, provider, settings)?;
        Ok(Self { client, host })
    }

    /// A link to an object, or to what the service makes of it.
    ///
    /// # Errors
    /// No link can lead to this key, or the credentials have expired.
    pub(super) async fn link(
        &self,
        key: &str,
        process: Option<&str>,
        life: Duration,
    ) -> Result<Link, cos::Error> {
        self.client.link(&LinkRequest { host: &self.host, key, process, life }).await
    }
}

/// The host of links that the settings name.
///
/// # Errors
/// It is unusable, or plain http and that is not allowed.
pub(super) fn host(settings: &Settings) -> anyhow::Result<Option<Endpoint>> {
    let Some(host) = &settings.connection.link_host else { return Ok(None) };
    let host = Endpoint::custom(host).context("link_host is unusable")?;
    connect::refuse_plain_http(&host, settings.connection.allow_http)
        .context("link_host is unusable")?;
    Ok(Some(host))
}

/// The region and endpoint of a bucket. The database alone cannot decide that a link leads to another host than those of
/// the service.
fn place(
    bucket: &Bucket,
    settings: &Settings,
    reader: &Reader,
) -> anyhow::Result<(Option<String>, Option<String>)> {
    let stored = &settings.stored;
    if stored.region.is_some() || stored.endpoint.is_some() {
        return Ok((stored.region.clone(), stored.endpoint.clone()));
    }
    let runs = reader.runs(RUNS)?.into_iter().filter(|run| run.bucket == bucket.as_str());
    let known = runs.filter_map(|run| RunSettings::stored(&run.settings).ok()).find_map(|run| {
        let service = |endpoint: &String| {
            Endpoint::custom(endpoint).is_ok_and(|endpoint| endpoint.is_service_of(bucket))
        };
        match (run.stored.region, run.stored.endpoint.filter(service)) {
            (None, None) => None,
            known => Some(known),
        }
    });
    Ok(known.unwrap_or_default())
}

/// The pictures of the bucket of the last run, as links that a page leads to.
///
/// # Errors
/// Credentials are missing, or the region of the bucket is not known.
pub(super) async fn pictures(settings: &Settings, reader: &Reader) -> anyhow::Result<Pictures> {
    let Some(run) = reader.last_run()? else {
        return Ok(Pictures::None("Without pictures: no run has read a bucket yet.".to_owned()));
    };
    let provider = connect::provider(&settings.credentials).await?;
    let linker = Arc::new(Linker::new(&run.bucket, settings, provider, reader)?);
    // Missing or expired credentials are told now, and not by pages without pictures.
    let first = linker.link("-", None, PICTURE).await?;
    let origin = linker.host.origin().to_owned();
    say!("pictures come from {origin}, each with a link that ends after 15 minutes");
    say!("the service bills each picture as a request with its traffic and its scaling");
    tell_token(first.is_temporary());
    let told = Arc::new(Mutex::new(String::new()));
    let sign = move |sample: Sample, side: u32| {
        let (linker, told) = (Arc::clone(&linker), Arc::clone(&told));
        let made = async move {
            let process = cos::thumbnail(side);
            let made = linker.link(&sample.key, Some(&process), PICTURE).await;
            made.map(|link| link.expose().to_owned()).map_err(|error| {
                let why = chain(&error);
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                if *told != why {
                    say!("warning: a picture has no link: {why}");
                    told.clone_from(&why);
                }
                why
            })
        };
        made.boxed()
    };
    Ok(Pictures::Links { bucket: run.bucket, origin, sign: Box::new(sign) })
}

/// Requests small copies of these pictures from the bucket of the last run, and says how many requests that are before the
/// first one. Returns those that came, by the number of their content. If none of the first ones comes, no others are
/// requested.
///
/// # Errors
/// Credentials are missing, or the region of the bucket is not known.
pub(super) fn fetch(
    settings: &Settings,
    reader: &Reader,
    mut samples: Vec<Sample>,
    side: u32,
    continues: &dyn Fn() -> bool,
) -> anyhow::Result<HashMap<i64, Bytes>> {
    let mut fetched = HashMap::new();
    let Some(run) = reader.last_run()? else { return Ok(fetched) };
    let is_url = |key: &str| key.starts_with("http://") || key.starts_with("https://");
    samples.retain(|sample| sample.bucket == run.bucket && !is_url(&sample.key));
    let runtime = super::execute_job::runtime()?;
    runtime.block_on(async {
        let provider = connect::provider(&settings.credentials).await?;
        let linker = Linker::new(&run.bucket, settings, provider, reader)?;
        say!(
            "requesting {} from {}; the service bills each as a request with its traffic and its scaling",
            counted(samples.len() as u64, "picture"),
            linker.client.endpoint()
        );
        let mut failed: (u64, Option<cos::Error>) = (0, None);
        for samples in samples.chunks(AT_ONCE) {
            if !continues() {
                return Ok(());
            }
            let requests = samples.iter().map(|sample| linker.client.picture(&sample.key, side));
            for (sample, answer) in samples.iter().zip(join_all(requests).await) {
                match answer {
                    Ok(bytes) => drop(fetched.insert(sample.content_id, bytes)),
                    Err(error) => failed = (failed.0 + 1, failed.1.or(Some(error))),
                }
            }
            if fetched.is_empty() {
                break;
            }
        }
        if let (count, Some(error)) = failed {
            let pictures = counted(count, "picture");
            say!("warning: {pictures} did not come; the first one because: {}", chain(&error));
            if fetched.is_empty() {
                say!("no other picture was requested");
            }
        }
        anyhow::Ok(())
    })?;
    Ok(fetched)
}

/// Says that links carry a token, if they do.
pub(super) fn tell_token(is_temporary: bool) {
    if is_temporary {
        say!(
            "the links carry the temporary token of the credentials, and end with it at the latest"
        );
    }
}

/// Makes links to the objects of any bucket of a database, one after the other.
pub(super) struct Links<'a> {
    settings: &'a Settings,
    reader: &'a Reader,
    runtime: tokio::runtime::Runtime,
    provider: Arc<Provider>,
    /// The bucket of the last link, and its linker. Objects come ordered by bucket.
    current: Option<(String, Linker)>,
    life: Duration,
    is_temporary: bool,
}

impl<'a> Links<'a> {
    /// Finds the credentials.
    ///
    /// # Errors
    /// There are none.
    pub(super) fn begin(
        settings: &'a Settings,
        reader: &'a Reader,
        life: Duration,
    ) -> anyhow::Result<Self> {
        let runtime = super::execute_job::runtime()?;
        let provider = runtime.block_on(connect::provider(&settings.credentials))?;
        Ok(Self { settings, reader, runtime, provider, current: None, life, is_temporary: false })
    }

    /// A link to an object. Returns `None` if no link can lead to its key.
    ///
    /// # Errors
    /// The region of the bucket is not known, or the credentials have expired.
    pub(super) fn link(&mut self, bucket: &str, key: &str) -> anyhow::Result<Option<Link>> {
        if self.current.as_ref().is_none_or(|(current, _)| current != bucket) {
            self.refuse_second_bucket(bucket)?;
            let provider = Arc::clone(&self.provider);
            let linker = Linker::new(bucket, self.settings, provider, self.reader)?;
            self.current = Some((bucket.to_owned(), linker));
        }
        let Some((_, linker)) = &self.current else { return Ok(None) };
        match self.runtime.block_on(linker.link(key, None, self.life)) {
            Ok(link) => {
                self.is_temporary |= link.is_temporary();
                Ok(Some(link))
            }
            Err(cos::Error::UnaddressableKey { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses a second bucket if the settings name one host: its links would open objects of the first.
    fn refuse_second_bucket(&self, bucket: &str) -> Result<(), Usage> {
        let Some((first, _)) = &self.current else { return Ok(()) };
        let setting = match self.settings {
            settings if settings.connection.link_host.is_some() => "link_host",
            settings if settings.stored.endpoint.is_some() => "endpoint",
            _ => return Ok(()),
        };
        Err(Usage(format!(
            "{setting} is a host of one bucket, and there are keys of {} and {}: choose one with --bucket",
            visible(first),
            visible(bucket)
        )))
    }

    /// Whether a link carried a token.
    pub(super) fn is_temporary(&self) -> bool {
        self.is_temporary
    }
}
