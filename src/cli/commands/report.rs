//! `costag report`: writes all views into one HTML file.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::exit::Exit;
use crate::cli::links;
use crate::cli::names;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfNames, OfObjects, OfPrices, SettingOptions};
use crate::cli::own_files;
use crate::cli::report_file::{self, Pictures};
use crate::cli::signals::Interrupt;
use crate::export::Output;
use crate::store::Reader;
use crate::visible::visible;

/// The longest side of a picture that is requested, in pixels. The report shows squares of half of this.
const SIDE: u32 = 384;

/// Write a report: one HTML file with labels, categories, prefixes, runs, failures and costs
///
/// The file opens in any browser, offline. It holds the most frequent labels, the confidences, the prefixes and what
/// changed; the first 1,000 labels; and the runs with what failed and what was spent. It contains no credentials and no
/// signed address, but keys, labels and the name of the bucket are in it. Without --thumbnails no request is made. Nothing
/// is called, and the database is not changed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to write, such as report.html; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Put up to N pictures of the bucket into the report, 1 to 240; each is a request, which costs
    ///
    /// Needs credentials that may read objects. The number of requests is told before the first one. The pictures are small
    /// copies that the service makes, and part of the file.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=240))]
    thumbnails: Option<u16>,
    #[command(flatten)]
    objects: SettingOptions<OfObjects>,
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
    #[command(flatten)]
    names: SettingOptions<OfNames>,
}

impl Args {
    /// Writes the report, and says where it is on stderr.
    ///
    /// # Errors
    /// The database is unusable, credentials for pictures are missing, or the output cannot be written.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| {
            self.price.give(options);
            self.names.give(options);
            self.objects.give(options);
        })?;
        let aliases = names::aliases(&settings)?;
        let reader = Reader::open(&settings.db)?;
        own_files::spare(&self.output, &reader)?;
        // A stream leaves no file that must be removed, so a signal may end the program as usual.
        let interrupt =
            if self.output.as_os_str() == "-" { None } else { Some(Interrupt::watch()?) };
        let continues = || interrupt.as_ref().is_none_or(|interrupt| interrupt.exit().is_none());
        // Opened first, so that a folder that cannot be written is told before the labels are counted.
        let mut output = Output::open(&self.output)?;
        let fetch = |samples| links::fetch(&settings, &reader, samples, SIDE, &continues);
        let pictures = match self.thumbnails {
            Some(most) => Pictures::Fetched(usize::from(most), &fetch),
            None => Pictures::None,
        };
        let html = report_file::make(
            &reader,
            &settings.db,
            &settings.budget,
            Arc::new(aliases),
            pictures,
            continues,
        )?;
        if let (None, Some(exit)) = (&html, interrupt.as_ref().and_then(Interrupt::exit)) {
            say!("interrupted: no file was written");
            return Ok(exit);
        }
        output
            .write_all(html.unwrap_or_default().as_bytes())
            .map_err(|source| output.error(source))?;
        let target = output.target().to_owned();
        output.commit()?;
        if self.output.as_os_str() != "-" {
            say!("the report is in {}: open it in a browser", visible(&target));
        }
        Ok(Exit::Complete)
    }
}
