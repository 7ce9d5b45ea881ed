//! `costag serve`: shows the views of the report live, in a browser of this machine.

use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfPrices, SettingOptions};
use crate::cli::page;
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
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
}

impl Args {
    /// Serves the page until a signal arrives, and returns its exit code.
    ///
    /// # Errors
    /// The database is unusable, or the port is taken.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| self.price.give(options))?;
        // Without a database there is nothing to show. It may disappear later: then the page says so.
        Reader::open(&settings.db)?;
        let none = "Pictures are not shown.".to_owned();
        let site = page::site(&settings.db, &settings.budget, Pictures::None(none));
        let runtime = crate::cli::execute_job::runtime()?;
        let exit = runtime.block_on(page::serve(site, self.port));
        // A read under way may take long, and nothing depends on its end.
        runtime.shutdown_background();
        exit
    }
}
