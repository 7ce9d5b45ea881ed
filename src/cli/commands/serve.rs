//! `costag serve`: shows the views of the report live, in a browser of this machine.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::exit::Exit;
use crate::cli::names;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfNames, OfPrices, SettingOptions};
use crate::cli::page::{self, folder};
use crate::serve::Pictures;
use crate::store::Reader;

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
    /// Without it the page has no pictures.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
    #[command(flatten)]
    names: SettingOptions<OfNames>,
}

impl Args {
    /// Serves the page until a signal arrives, and returns its exit code.
    ///
    /// # Errors
    /// The database is unusable, there is no such folder of pictures, or the port is taken.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| {
            self.price.give(options);
            self.names.give(options);
        })?;
        let aliases = names::aliases(&settings)?;
        // Without a database there is nothing to show. It may disappear later: then the page says so.
        Reader::open(&settings.db)?;
        let pictures = match self.images {
            Some(images) => Pictures::Folder(folder(images)?),
            None => {
                Pictures::None("Without pictures: --images DIR shows those of a folder.".to_owned())
            }
        };
        let site = page::site(&settings.db, &settings.budget, Arc::new(aliases), pictures);
        let runtime = crate::cli::execute_job::runtime()?;
        let exit = runtime.block_on(page::serve(site, self.port));
        // A read under way may take long, and nothing depends on its end.
        runtime.shutdown_background();
        exit
    }
}
