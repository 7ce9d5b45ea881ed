//! Serves the page of a database until a signal arrives.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::net::TcpListener;

use super::exit::Exit;
use super::fault::{LocalFault, Usage};
use super::report_file;
use super::signals::Signals;
use super::suggest;
use super::zone;
use crate::aliases::Aliases;
use crate::config::Budget;
use crate::pictures::Folder;
use crate::serve::{self, Guard, Pictures, Site};
use crate::view::{Links, Terms};
use crate::visible::visible;

/// What helps if no port can be opened.
const ANOTHER_PORT: LocalFault = LocalFault("leave out --port for a free one");

/// The site that serves the views of this database.
pub(super) fn site(
    database: &Path,
    budget: &Budget,
    aliases: Arc<Aliases>,
    pictures: Pictures,
) -> Site {
    let zone = zone::local();
    let (money, common) = (report_file::money(budget), suggest::common(database));
    let terms = move || Terms {
        zone: zone.clone(),
        now: Timestamp::now(),
        money: money.clone(),
        common: common.clone(),
        links: Links::Pages,
        aliases: Arc::clone(&aliases),
    };
    Site::new(database.to_owned(), Box::new(terms), pictures)
}

/// A folder of pictures that was named as an option.
///
/// # Errors
/// [`Usage`]: there is none, or it is something else.
pub(super) fn folder(path: PathBuf) -> anyhow::Result<Folder> {
    let name = visible(&path.to_string_lossy()).into_owned();
    Folder::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotADirectory => {
            Usage(format!("{name} is not a folder: name the folder with the pictures")).into()
        }
        _ => Usage(format!("the folder {name} cannot be opened: {error}")).into(),
    })
}

/// Serves a site on this port of 127.0.0.1, says where, and returns the exit code of the signal that ends it.
///
/// # Errors
/// The port is taken, or the system gives no random numbers.
pub(super) async fn serve(site: Site, port: u16) -> anyhow::Result<Exit> {
    let mut signals = Signals::watch()?;
    let (listener, guard) = open(port).await?;
    tell(&listener, &guard)?;
    tokio::select! {
        exit = signals.next() => Ok(exit),
        ended = serve::serve(listener, site, guard) => match ended.context(ANOTHER_PORT)? {},
    }
}

/// A listener on this port, and a guard with a new token.
///
/// # Errors
/// The same as those of [`serve`].
pub(super) async fn open(port: u16) -> anyhow::Result<(TcpListener, Guard)> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| match port {
            0 => "cannot listen on 127.0.0.1".to_owned(),
            port => format!("cannot listen on port {port} of 127.0.0.1"),
        })
        .context(ANOTHER_PORT)?;
    let mut random = [0; 16];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut random).map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    Ok((listener, Guard::new(random)))
}

/// Says where the page is, also for a browser on another machine.
pub(super) fn tell(listener: &TcpListener, guard: &Guard) -> anyhow::Result<()> {
    let port = listener.local_addr()?.port();
    say!("the page is at");
    say!("  http://127.0.0.1:{port}{}", guard.entrance());
    say!("the address lets in whoever has it, on this machine; Ctrl-C ends it");
    say!("for a browser on another machine, run this there and open the same address:");
    say!("  ssh -L {port}:127.0.0.1:{port} {}", this_machine());
    Ok(())
}

/// The user and the name of this machine, as far as they are known.
fn this_machine() -> String {
    let known = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    let user = known("USER").or_else(|| known("LOGNAME")).unwrap_or_else(|| "USER".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "HOST",
        host => host,
    };
    crate::shell::quoted(&format!("{user}@{host}"))
}
