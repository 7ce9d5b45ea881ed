//! The endpoint of a resumed run, and whether a person gave it or only the database names it.

use crate::config::{Origin, Provenance, Settings};
use crate::cos::{Bucket, Endpoint};
use crate::job::{self, RunSettings};
use crate::store::run::UnfinishedRun;

/// The region or endpoint of a resumed run.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// The endpoint, if only the database names it and it is not a host of the service.
    pub(super) unconfirmed: Option<String>,
}

/// Finds out where the requests of `run` go. `settings` and `origins` include the options of the command that began the
/// run; `now` has only what is given now.
///
/// The order of precedence is: an option that is given now; an option that was typed when the run began; the environment
/// and files now; the environment and files when the run began.
///
/// # Errors
/// [`job::Error::Settings`] if the database names a region or endpoint that is not valid.
pub(super) fn of_run(
    unfinished: &UnfinishedRun,
    run: &RunSettings,
    bucket: &Bucket,
    now: &Settings,
    settings: &Settings,
    origins: &Provenance,
) -> Result<Place, job::Error> {
    let refuse = |error: crate::cos::endpoint::Error| job::Error::Settings {
        run: unfinished.id,
        source: error.into(),
    };
    let is_option = |key| matches!(origins.get(key), Some(Origin::Option(_)));
    let region = settings.stored.region.clone();
    let from_database = match origins.get("endpoint") {
        Some(Origin::Run) if is_option("region") && region.is_some() => None,
        Some(Origin::Run) => settings.stored.endpoint.clone(),
        // Older versions did not keep options: the endpoint of the run applies, unless another one is given now.
        Some(Origin::Default) if run.typed.is_none() && !is_option("region") => {
            run.stored.endpoint.clone()
        }
        Some(Origin::Default) if region.is_none() => run.stored.endpoint.clone(),
        Some(Origin::Default) => None,
        // The endpoint is given now.
        _ => match &settings.stored.endpoint {
            Some(endpoint) => {
                return Ok(Place { region, endpoint: Some(endpoint.clone()), unconfirmed: None });
            }
            None => None,
        },
    };
    if let (None, Some(region)) = (&region, &run.stored.region) {
        Endpoint::for_region(bucket, region).map_err(refuse)?;
    }
    let region = region.or_else(|| run.stored.region.clone());
    let Some(endpoint) = from_database else {
        return Ok(Place { region, ..Place::default() });
    };
    let is_given_now = now.stored.endpoint.as_ref() == Some(&endpoint);
    let trusted =
        is_given_now || Endpoint::custom(&endpoint).map_err(refuse)?.is_service_of(bucket);
    let unconfirmed = (!trusted).then(|| endpoint.clone());
    Ok(Place { region, endpoint: Some(endpoint), unconfirmed })
}

/// Whether the endpoint is on this machine. `false` if it is not valid.
pub(super) fn is_loopback(endpoint: &str) -> bool {
    Endpoint::custom(endpoint).is_ok_and(|endpoint| endpoint.is_loopback())
}
