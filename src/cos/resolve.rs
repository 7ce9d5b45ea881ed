//! Looks host names up, and tells a name that does not exist from one that cannot be resolved just now.
//!
//! The system's resolver gives a text for the one and for the other, and the standard library nothing else. Only texts
//! that are known to mean "there is no such name" are taken for that.

use std::error::Error as StdError;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use strsim::levenshtein;
use tokio::sync::oneshot;

/// What glibc, musl and macOS say of a name that does not exist.
const NO_SUCH_NAME: [&str; 3] =
    ["Name or service not known", "Name does not resolve", "nodename nor servname provided"];

/// Regions that can be meant by a name that is nearly one of them; others may exist.
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

/// The system's resolver, which remembers what it could not resolve.
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

/// Asks the system on a thread of our own: the runtime's pool panics where the system gives no thread.
async fn look_up(name: String) -> io::Result<Vec<SocketAddr>> {
    let (tell, told) = oneshot::channel();
    // The port is the connector's: it puts its own in the place of 0.
    let ask = move || tell.send((name.as_str(), 0).to_socket_addrs().map(Iterator::collect));
    std::thread::Builder::new().name("resolver".to_owned()).spawn(move || drop(ask()))?;
    told.await.map_err(|_| io::Error::other("the resolver ended early"))?
}

/// The name that does not exist, if that is why `error` came.
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

/// The region that a host of the service was probably meant to have; `None` if it has one, or none is near.
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
    fn the_nearest_region_is_told_if_it_is_near() {
        let of = |region: &str| nearest_region(&format!("photos-1.cos.{region}.myqcloud.com"));
        assert_eq!(of("ap-guangzho"), Some("ap-guangzhou"));
        assert_eq!(of("ap-shangai"), Some("ap-shanghai"));
        assert_eq!(of("eu-frankfrut"), Some("eu-frankfurt"));
        assert_eq!(of("ap-guangzhou"), None, "it is one already");
        assert_eq!(of("us-east-1"), None);
        assert_eq!(nearest_region("localhost"), None);
    }

    #[test]
    fn only_a_name_that_does_not_exist_is_told() {
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
