//! `costag retag`: labelled images are called again, because a person asks for it.

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, Zoned};

use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfPrices, SettingOptions};
use crate::cli::{put_back, terminal, zone};
use crate::scene::Scene;
use crate::store::read::Choice;

/// Put labelled images back on purpose, to be called, and paid, again
///
/// Chooses images by where they are, what they were labelled and when; every option that is given must fit. All other
/// images are left alone. Labels stay until the new answer is there. The request belongs to the image's bytes and stands
/// until it is answered: the next run that wants the image calls for it, also under another key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keys that begin with this
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Keys of this bucket, NAME-APPID
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// Images with a label of exactly this name
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Look at, and ask again for, these scenes only, with commas between; may be repeated [default: all that are done]
    #[arg(short, long, value_name = "SCENE,…", value_delimiter = ',')]
    scene: Vec<Scene>,
    /// Images whose --label, or else whose surest label, is below this confidence, 1 to 100
    #[arg(long, value_name = "CONFIDENCE", value_parser = clap::value_parser!(u8).range(1..=100))]
    below: Option<u8>,
    /// Images labelled before this: 2026-11-01, 2026-11-01T06:30 (both local) or 2026-11-01T06:30:00Z
    #[arg(long, value_name = "DATE", value_parser = moment)]
    older_than: Option<Timestamp>,
    /// Instead of labelled images, those that failed with this code; may be repeated
    #[arg(long, value_name = "CODE", conflicts_with_all = ["label", "scene", "below", "older_than", "all"])]
    code: Vec<String>,
    /// Every labelled image
    #[arg(long)]
    all: bool,
    /// Count images, calls and cost only; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
}

impl Args {
    /// Puts back what was chosen, and tells how much.
    ///
    /// # Errors
    /// Nothing chosen, an unusable database; exit code 11 while a run is at work.
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
            tagged_before: self.older_than.map(Timestamp::as_second),
        };
        if choice == Choice::default() && !self.all {
            anyhow::bail!(Usage(
                "which images? give --prefix, --bucket, --label, --scene, --below, --older-than or \
                 --code, or --all"
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

/// A day or moment; without a zone, of the local one.
fn moment(text: &str) -> Result<Timestamp, String> {
    let local = |time: DateTime| time.to_zoned(zone::local()).map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<Zoned>().map(|zoned| zoned.timestamp()))
        .or_else(|_| text.parse::<Date>().and_then(|date| local(date.at(0, 0, 0, 0))))
        .or_else(|_| text.parse::<DateTime>().and_then(local))
        .map_err(|_| "expected a date such as 2026-11-01, or a date and time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let utc = moment("2026-11-01T06:30:00+08:00").unwrap();
        assert_eq!(utc.to_string(), "2026-10-31T22:30:00Z");
        let day = Date::constant(2026, 11, 1).at(0, 0, 0, 0).to_zoned(zone::local()).unwrap();
        assert_eq!(moment("2026-11-01").unwrap(), day.timestamp());
        assert!(moment("2026-11-01T06:30").is_ok());
        for wrong in ["", "yesterday", "2026-11", "2026-13-01"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
