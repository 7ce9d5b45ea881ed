//! Resolves host names, and distinguishes a name that does not exist from one that cannot be resolved at the moment.
//!
//! The standard library passes on nothing but the text of the system's resolver. A name counts as nonexistent only if
//! the text is one that is known to mean so.

use std::error::Error as StdError;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use strsim::levenshtein;
use tokio::sync::oneshot;

/// The texts of glibc, musl and macOS for a name that does not exist.
const NO_SUCH_NAME: [&str; 3] =
    ["Name or service not known", "Name does not resolve", "nodename nor servname provided"];

/// The regions that are suggested for a misspelled one ("Regions and Access Endpoints"). Others may exist.
const REGIONS: [&str; 22] = [
    "ap-bangkok",
    "ap-beijing",
    "ap-beijing-1",
    "ap-beijing-fsi",
    "ap-chengdu",
    "ap-chongqing",
    "ap-guangzhou",
    "ap-hongkong",
    "ap-jakarta",
    "ap-mumbai",
    "ap-nanjing",
    "ap-seoul",
    "ap-shanghai",
    "ap-shanghai-fsi",
    "ap-shenzhen-fsi",
    "ap-singapore",
    "ap-tokyo",
    "eu-frankfurt",
    "na-ashburn",
    "na-siliconvalley",
    "na-toronto",
    "sa-saopaulo",
];

/// The system's resolver. Its errors contain the name that could not be resolved.
#[derive(Debug)]
pub(super) struct Resolver;

/// A name that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {name}")]
pub(super) struct Unresolved {
    name: String,
    #[source]
    cause: io::Error,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            match look_up(name.clone()).await {
                Ok(found) => {
                    let found: Addrs = Box::new(found.into_iter());
                    Ok(found)
                }
                Err(cause) => Err(Unresolved { name, cause }.into()),
            }
        })
    }
}

/// Asks the system on a new thread. The thread pool of the runtime would panic if the system has no thread left.
async fn look_up(name: String) -> io::Result<Vec<SocketAddr>> {
    let (tell, told) = oneshot::channel();
    // The connector replaces the port 0 by its own.
    let ask = move || tell.send((name.as_str(), 0).to_socket_addrs().map(Iterator::collect));
    std::thread::Builder::new().name("resolver".to_owned()).spawn(move || drop(ask()))?;
    told.await.map_err(|_| io::Error::other("the resolver ended early"))?
}

/// Returns the name that does not exist, if that is the cause of `error`.
pub(super) fn no_such_host(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(Unresolved { name, cause }) = error.downcast_ref() {
            let text = cause.to_string();
            return NO_SUCH_NAME.iter().any(|known| text.contains(known)).then(|| name.clone());
        }
        next = error.source();
    }
    None
}

/// Returns the known region with the nearest name to that of a host of the service. Returns `None` if the region is
/// known, or if no name is near.
pub(super) fn nearest_region(host: &str) -> Option<&'static str> {
    let (_, rest) = host.split_once(".cos.")?;
    let (region, _) = rest.split_once('.')?;
    let distances = REGIONS.iter().map(|known| (levenshtein(region, known), *known));
    let (distance, nearest) = distances.min()?;
    (1..=3).contains(&distance).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_region_is_suggested_if_the_name_is_near() {
        let of = |region: &str| nearest_region(&format!("photos-1.cos.{region}.myqcloud.com"));
        assert_eq!(of("ap-guangzho"), Some("ap-guangzhou"));
        assert_eq!(of("ap-shangai"), Some("ap-shanghai"));
        assert_eq!(of("eu-frankfrut"), Some("eu-frankfurt"));
        assert_eq!(of("ap-guangzhou"), None, "it is one already");
        assert_eq!(of("us-east-1"), None);
        assert_eq!(nearest_region("localhost"), None);
    }

    #[test]
    fn a_name_counts_as_nonexistent_only_by_a_known_text() {
        let error = |text: &str| Unresolved {
            name: "x.invalid".to_owned(),
            cause: io::Error::other(format!("failed to lookup address information: {text}")),
        };
        for text in NO_SUCH_NAME {
            assert_eq!(no_such_host(&error(text)).as_deref(), Some("x.invalid"));
        }
        for text in ["Temporary failure in name resolution", "Try again", "something new"] {
            assert_eq!(no_such_host(&error(text)), None, "{text}");
        }
    }
}
