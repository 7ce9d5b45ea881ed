//! Where the requests of a resumed run go, and whether the person or only the database says so.

use crate::config::{Origin, Provenance, Settings};
use crate::cos::{Bucket, Endpoint};
use crate::job::{self, RunSettings};
use crate::store::run::UnfinishedRun;

/// Region or endpoint of a resumed run.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// The endpoint that only the database names, if it is not the service's own.
    pub(super) unconfirmed: Option<String>,
}

/// Where the requests of `run` go. `settings` and `origins` hold the options of the command that began it,
/// `now` only what is given now.
///
/// An endpoint or region that is given as an option now comes first, then what was typed when the run began, then
/// the environment and files of now; what the run took from environment or files then is the last resort.
///
/// # Errors
/// [`job::Error::Settings`] if the database names a region or endpoint that cannot be one.
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
        // An older version kept no options: what the run used holds, unless something else is given now.
        Some(Origin::Default) if run.typed.is_none() && !is_option("region") => {
            run.stored.endpoint.clone()
        }
        Some(Origin::Default) if region.is_none() => run.stored.endpoint.clone(),
        Some(Origin::Default) => None,
        // It is given now.
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

/// Whether the endpoint is this machine; an endpoint that cannot be used is not.
pub(super) fn is_loopback(endpoint: &str) -> bool {
    Endpoint::custom(endpoint).is_ok_and(|endpoint| endpoint.is_loopback())
}
