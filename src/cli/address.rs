//! The address of a bucket, which a command line gives itself or by the name of a profile.

use super::fault::{UnknownWord, Usage};
use super::options::global::Inputs;
use super::suggest;
use crate::config::is_profile_name;
use crate::cos::Bucket;
use crate::visible::{visible, without_password};

/// Which bucket a command works on.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Address {
    #[expect(clippy::doc_markdown, reason = "it is the help's text")]
    /// The bucket as cos://BUCKET-APPID or cos://BUCKET-APPID/PREFIX, or the name of a profile; the prefix is used as it
    /// is written [default: the address of the profile that --profile names]
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
}

impl Address {
    /// The word that is given instead of an address, which is the name of a profile.
    pub(super) fn profile(&self) -> Option<&str> {
        self.address.as_deref().filter(|word| is_profile_name(word))
    }

    /// Chooses the profile that is named instead of an address, and returns the bucket and the prefix.
    ///
    /// # Errors
    /// [`Usage`] if there is neither an address nor a profile of that name, or the address is wrong.
    pub(super) fn resolve(&self, inputs: &mut Inputs) -> anyhow::Result<(Bucket, String)> {
        match self.address.as_deref() {
            Some(word) if is_profile_name(word) => choose(word, inputs)?,
            Some(address) => return parse(address),
            None => {}
        }
        let Some(profile) = inputs.files().chosen() else {
            anyhow::bail!(Usage(
                "no bucket is given: give its address, such as cos://BUCKET-APPID, or the name of a profile".to_owned()
            ));
        };
        let (name, path) = (&profile.name, profile.path.display().to_string());
        let Some(address) = &profile.address else {
            anyhow::bail!(Usage(format!(
                "the profile {name} in {} has no address: add address = \"cos://BUCKET-APPID\" to it, or give an address \
                 and --profile {name}",
                visible(&path)
            )));
        };
        parse(address)
            .map_err(|error| error.context(format!("profile {name} in {}", visible(&path))))
    }
}

/// Chooses the profile whose name was given instead of an address.
fn choose(word: &str, inputs: &mut Inputs) -> anyhow::Result<()> {
    if let Some(other) = inputs.profile_option().filter(|other| *other != word) {
        anyhow::bail!(Usage(format!(
            "two profiles are given, {word} and {other} (--profile): give one of them"
        )));
    }
    if inputs.files().profiles().iter().all(|profile| profile.name != word) {
        let profiles = visible(&inputs.files().known_profiles()).into_owned();
        anyhow::bail!(UnknownWord { word: word.to_owned(), profiles });
    }
    suggest::choose_profile(word);
    Ok(inputs.choose(word)?)
}

/// Reads `cos://BUCKET-APPID[/PREFIX]` and returns the bucket and the prefix, which is not changed.
///
/// # Errors
/// [`Usage`] if the address has another form, or the bucket's name is wrong.
pub(super) fn parse(address: &str) -> anyhow::Result<(Bucket, String)> {
    let Some(rest) = address.strip_prefix("cos://") else {
        anyhow::bail!(Usage(format!(
            "{:?} is not the address of a bucket: an address has the form cos://BUCKET-APPID or \
             cos://BUCKET-APPID/PREFIX",
            without_password(address)
        )));
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((Bucket::parse(bucket)?, prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_after_the_bucket_is_the_prefix_and_is_not_changed() {
        let prefix = |address: &str| parse(address).unwrap().1;
        assert_eq!(prefix("cos://a-1250000000"), "");
        assert_eq!(prefix("cos://a-1250000000/"), "");
        assert_eq!(prefix("cos://a-1250000000//x%20 y/../"), "/x%20 y/../");
    }

    #[test]
    fn text_that_is_not_an_address_is_refused() {
        for address in ["a-1250000000", "cos:a", "cos://", "cos://A-1", "cos://a", "s3://a-1"] {
            assert!(parse(address).is_err(), "{address}");
        }
    }
}
