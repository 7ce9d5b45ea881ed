//! Reads the aliases: names of labels and categories that are shown in place of the stored ones.

use crate::aliases::Aliases;
use crate::cli::fault::Usage;
use crate::config::Settings;

/// Reads the file of aliases that the settings name. Without one, every name is shown as it is stored.
///
/// # Errors
/// The file cannot be read, or a line of it is wrong ([`Usage`]).
pub(super) fn aliases(settings: &Settings) -> anyhow::Result<Aliases> {
    let Some(file) = &settings.aliases else { return Ok(Aliases::default()) };
    Aliases::read(file).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Usage(format!("{error}{}", cause.unwrap_or_default())).into()
    })
}
