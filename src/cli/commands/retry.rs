//! `costag retry`: failed images are called again by the next run.

use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfPrices, SettingOptions};
use crate::cli::put_back;
use crate::glob::{Globs, Meaning};
use crate::store::read::Choice;

/// Put failed images back, for the next run to try again
///
/// A run tries again by itself, once, what failed for a passing reason; this is for the others, or for another time.
/// Without options, all that failed is put back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what failed with this code; may be repeated
    #[arg(long, value_name = "CODE")]
    code: Vec<String>,
    /// Only keys that match this glob, as --include reads it: '*.jpg' is a name at any depth, 'a/*.jpg' a whole key;
    /// may be repeated
    #[arg(long, value_name = "GLOB")]
    key: Vec<String>,
    /// Count only; change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
}

impl Args {
    /// Puts back what failed, and tells how much.
    ///
    /// # Errors
    /// A glob that cannot be read, an unusable database; exit code 11 while a run is at work.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| self.price.give(options))?;
        let globs = Globs::new(&self.key, Meaning::Name)?;
        let choice = Choice { failed: true, codes: self.code, ..Choice::default() };
        let keys = |key: &str| globs.is_empty() || globs.matches(key);
        // It does not ask: what failed was wanted once, and the next run's budgets still hold.
        put_back::execute(&settings, &choice, keys, self.dry_run, false)
    }
}
