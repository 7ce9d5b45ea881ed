//! `costag serve`: shows the views of the report live, in a browser of this machine.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::exit::Exit;
use crate::cli::links;
use crate::cli::names;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfLinks, OfNames, OfPrices, SettingOptions};
use crate::cli::page::{self, folder};
use crate::serve::Pictures;
use crate::store::Reader;

/// What a page says that has no pictures.
const WITHOUT: &str =
    "Without pictures: --pictures shows those of the bucket, --images DIR those of a folder.";

/// Show labels, images and runs in the browser, also while a run goes on
///
/// Prints an address that opens only on this machine, and only with the token in it. The page shows what `costag report`
/// shows, and lets you look for images by labels, categories, prefixes and dates. Nothing on it acts: the database is
/// opened for reading only. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Port on 127.0.0.1; 0 chooses a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Folder with the pictures (PNG, JPEG, WebP): the key of each is its path in it
    ///
    /// Without it and --pictures the page has no pictures.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Show the pictures of the bucket: the browser requests each from it with a signed link, which costs
    ///
    /// Needs credentials that may read objects. No picture passes through costag. The service bills the requests, the
    /// traffic and the scaling. A page says how many pictures it asks for: at most 60 before you scroll.
    #[arg(long, conflicts_with = "images")]
    pictures: bool,
    #[command(flatten)]
    links: SettingOptions<OfLinks>,
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
    #[command(flatten)]
    names: SettingOptions<OfNames>,
}

impl Args {
    /// Serves the page until a signal arrives, and returns its exit code.
    ///
    /// # Errors
    /// The database is unusable, there is no such folder of pictures, no link to pictures can be made, or
    /// the port is taken.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| {
            self.price.give(options);
            self.names.give(options);
            self.links.give(options);
        })?;
        let aliases = names::aliases(&settings)?;
        // Without a database there is nothing to show. It may disappear later: then the page says so.
        let reader = Reader::open(&settings.db)?;
        let runtime = crate::cli::execute_job::runtime()?;
        let pictures = match self.images {
            Some(images) => Pictures::Folder(folder(images)?),
            None if self.pictures => runtime.block_on(links::pictures(&settings, &reader))?,
            None => Pictures::None(WITHOUT.to_owned()),
        };
        drop(reader);
        let site = page::site(&settings.db, &settings.budget, Arc::new(aliases), pictures);
        let exit = runtime.block_on(page::serve(site, self.port));
        // A read under way may take long, and nothing depends on its end.
        runtime.shutdown_background();
        exit
    }
}
