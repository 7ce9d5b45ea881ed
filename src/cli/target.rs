//! What a command works on: the address of a bucket, and perhaps a list of keys or URLs.

use std::path::PathBuf;

use jiff::Timestamp;

use clap::builder::{PathBufValueParser, TypedValueParser};

use super::address::Address;
use super::fault::Usage;
use super::options::global::{GlobalOptions, Inputs};
use super::options::groups::{OfRun, SettingOptions};
use crate::config::definitions::{self, Group};
use crate::config::{PartialOptions, Settings, option};
use crate::cos::Bucket;
use crate::job::{List, ListError, Source};
use crate::numbers::duration;
use crate::time::UnixMillis;

/// The source of a run, and its settings.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    #[command(flatten)]
    address: Address,
    /// File of keys to tag instead of listing the bucket, one per line in UTF-8; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["urls", "inventory"])]
    keys: Option<PathBuf>,
    /// File of public image URLs to tag through the bucket, one per line, or the column `url` of a CSV; lines that begin
    /// with # are comments; - is standard input
    #[arg(long, value_name = "FILE")]
    urls: Option<PathBuf>,
    /// Manifest of an inventory (manifest.json, with its CSV files in their folders or beside it) whose keys to tag instead of
    /// listing the bucket
    #[arg(
        long,
        value_name = "MANIFEST",
        conflicts_with_all = ["urls", "null"],
        value_parser = manifest()
    )]
    inventory: Option<PathBuf>,
    /// Call keys as the inventory has them, without looking them up first. An image that was
    /// overwritten since the inventory was made gets labels that the next listing drops, and is called again then
    #[arg(long, requires = "inventory")]
    trust_inventory: bool,
    /// Keys or URLs end with NUL instead of a newline
    #[arg(short = '0', long)]
    null: bool,
    #[command(flatten)]
    options: SettingOptions<OfRun>,
}

/// Reads the value of `--inventory`. Standard input is refused, because the files of an inventory are found by the path of its
/// manifest.
pub(super) fn manifest() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.as_os_str() == "-" {
            return Err(
                "an inventory cannot be read from standard input, because its files are looked for beside its manifest: \
                 download all of it, and name its manifest.json",
            );
        }
        Ok(path)
    })
}

/// Says which typed options have no effect because the work comes from a list, whose lines are all wanted. The same
/// settings in the environment or in a file are meant for other runs and are not mentioned.
pub(super) fn tell_unused_filters(options: &SettingOptions<OfRun>, source: &Source) {
    if matches!(source, Source::Bucket { .. }) {
        return;
    }
    let mut given = PartialOptions::default();
    options.give(&mut given);
    let of_listings = |key: &&str| {
        definitions::of_group(Group::FilterOfListings).any(|setting| setting.name == *key)
    };
    for key in given.keys().filter(of_listings) {
        say!(
            "{} applies to listings only and has no effect here: every line of a list (--{}) is wanted; remove the \
             lines that you do not want",
            option(key),
            source.option()
        );
    }
}

/// Says how old a trusted inventory is.
///
/// # Errors
/// The inventory cannot be read.
fn tell_age(source: &Source) -> Result<(), ListError> {
    let Source::Keys(list @ List { trusted: true, .. }) = source else { return Ok(()) };
    match list.made_at()?.and_then(UnixMillis::timestamp) {
        Some(made) => {
            let age = Timestamp::now().duration_since(made).as_secs_f64().max(0.0);
            say!(
                "the inventory was made {} ago ({made:.0}); its keys are not looked up, so what was overwritten or deleted \
                 since then is noticed by a call or by the next listing",
                duration(age)
            );
        }
        None => say!(
            "the inventory does not say when it was made; its keys are not looked up, so what was overwritten or deleted \
             since then is noticed by a call or by the next listing"
        ),
    }
    Ok(())
}

impl Target {
    /// Reads what the settings are made from.
    ///
    /// # Errors
    /// The same as those of [`GlobalOptions::inputs`].
    pub(super) fn inputs(&self, global: &GlobalOptions) -> anyhow::Result<Inputs> {
        Ok(global.inputs(|options| self.options.give(options))?)
    }

    /// The settings that can be read although the settings or the address are wrong.
    /// `profile` is the profile whose turn it is.
    pub(super) fn readable_settings(
        &self,
        global: &GlobalOptions,
        profile: Option<&str>,
    ) -> Settings {
        let profile = profile.or(self.address.profile());
        global.readable_settings(|options| self.options.give(options), profile)
    }

    /// Returns the checked settings, the bucket, and the source of the work.
    ///
    /// # Errors
    /// The settings or the address are wrong, or the list cannot be read.
    pub(super) fn resolve(&self, mut inputs: Inputs) -> anyhow::Result<(Settings, Bucket, Source)> {
        let (bucket, prefix) = self.address.resolve(&mut inputs)?;
        let settings = inputs.settings()?;
        let list = |file: &PathBuf| List {
            file: (file.as_os_str() != "-")
                .then(|| std::path::absolute(file).unwrap_or_else(|_| file.clone())),
            nul: self.null,
            inventory: self.inventory.is_some(),
            trusted: self.trust_inventory,
        };
        let keys = self.keys.as_ref().or(self.inventory.as_ref());
        let source = match (keys, &self.urls) {
            (None, None) if self.null => {
                anyhow::bail!(Usage("-0 (--null) needs --keys or --urls".into()))
            }
            (None, None) => Source::Bucket { prefix },
            _ if !prefix.is_empty() => anyhow::bail!(Usage(
                "a prefix cannot be combined with --keys, --urls or --inventory: leave the prefix out"
                    .to_owned()
            )),
            (Some(keys), _) => Source::Keys(list(keys)),
            (None, Some(urls)) => Source::Urls(list(urls)),
        };
        source.check(bucket.as_str())?;
        tell_age(&source)?;
        tell_unused_filters(&self.options, &source);
        Ok((settings, bucket, source))
    }
}
