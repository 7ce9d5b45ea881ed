//! `costag retry`: puts failed images back in the queue.

use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfPrices, SettingOptions};
use crate::cli::put_back;
use crate::glob::{Globs, Meaning};
use crate::store::read::Choice;

/// Put failed images back in the queue, so that the next run calls them
///
/// The next run retries by itself, once, images that failed for a temporary reason. Use this command for all other
/// failures, and for further attempts. Without --code and --key, it puts back every failed image.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only images that failed with this code; may be repeated
    #[arg(long, value_name = "CODE")]
    code: Vec<String>,
    /// Only keys that match this glob, read as --include does: '*.jpg' matches a name in any folder, 'a/*.jpg' a whole
    /// key; may be repeated
    #[arg(long, value_name = "GLOB")]
    key: Vec<String>,
    /// Only count the images and what the calls would cost; change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
}

impl Args {
    /// Puts back the chosen failed images, and reports how many there are.
    ///
    /// # Errors
    /// A glob is wrong, the database is unusable, or a run uses it (exit code 11).
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| self.price.give(options))?;
        let globs = Globs::new(&self.key, Meaning::Name)?;
        let choice = Choice { failed: true, codes: self.code, ..Choice::default() };
        let keys = |key: &str| globs.is_empty() || globs.matches(key);
        // It does not ask: a run has wanted these images before, and the budgets of the next run apply.
        put_back::execute(&settings, &choice, keys, self.dry_run, false)
    }
}
