//! `costag retag`: puts labelled images back in the queue, to be called again.

use jiff::Timestamp;

use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfPrices, SettingOptions};
use crate::cli::{put_back, terminal, zone};
use crate::scene::Scene;
use crate::store::read::Choice;
use crate::time::UnixSeconds;

/// Put labelled images back in the queue, so that the next run calls, and pays for, them again
///
/// Chooses images by their place, their labels and the time of labelling; an image is chosen if it fits every option that
/// is given. All other images are left alone. Old labels are kept until the new answer arrives. The request is
/// stored with the content of the image until it is answered: the next run that wants this content calls for it, under any
/// key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only keys that begin with this
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Only keys of this bucket, NAME-APPID
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// Only images with a label of exactly this name
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Consider only labels of these scenes, and call again only for them; separate several with commas, or repeat the
    /// option [default: all scenes that are done]
    #[arg(short, long, alias = "scenes", value_name = "SCENE,…", value_delimiter = ',')]
    scene: Vec<Scene>,
    /// Only images whose --label has less confidence than this, 1 to 100; without --label, the label with the most
    /// confidence decides
    #[arg(long, value_name = "CONFIDENCE", value_parser = clap::value_parser!(u8).range(1..=100))]
    below: Option<u8>,
    /// Only images labelled before this: 2026-11-01, 2026-11-01T06:30 (both local time) or 2026-11-01T06:30:00Z
    #[arg(long, value_name = "DATE", value_parser = zone::moment)]
    older_than: Option<Timestamp>,
    /// Choose images that failed with this code instead of labelled images; may be repeated
    #[arg(long, value_name = "CODE", conflicts_with_all = ["label", "scene", "below", "older_than", "all"])]
    code: Vec<String>,
    /// Choose every labelled image
    #[arg(long)]
    all: bool,
    /// Only count the images and what the calls would cost; change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
}

impl Args {
    /// Puts back the chosen images, and reports how many there are.
    ///
    /// # Errors
    /// No option chooses images, the database is unusable, or a run uses it (exit code 11).
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| self.price.give(options))?;
        let choice = Choice {
            failed: !self.code.is_empty(),
            codes: self.code,
            bucket: self.bucket,
            prefix: self.prefix.unwrap_or_default(),
            label: self.label,
            scenes: self.scene.into_iter().collect(),
            below: self.below,
            tagged_before: self.older_than.map(UnixSeconds::from),
        };
        if choice == Choice::default() && !self.all {
            anyhow::bail!(Usage(
                "no images are chosen: give --prefix, --bucket, --label, --scene, --below, --older-than, \
                 --code or --all"
                    .to_owned()
            ));
        }
        put_back::execute(
            &settings,
            &choice,
            |_| true,
            self.dry_run,
            !self.yes && terminal::can_ask(),
        )
    }
}
