//! Reads `~/.cos.conf`, the INI file of coscmd. Its section `[common]` has the secrets in plain text.

use super::error::Error;
use super::secret::Credentials;

/// Reads the credentials in `text`. Returns `None` if the file has none.
pub(super) fn parse(place: &str, text: &str) -> Result<Option<Credentials>, Error> {
    let (mut id, mut key, mut token) = (None, None, None);
    let mut common = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            common = section.trim() == "common";
        } else if common
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once(['=', ':'])
        {
            let value = Some(value.trim()).filter(|value| !value.is_empty());
            match name.trim().to_ascii_lowercase().as_str() {
                "secret_id" => id = value,
                "access_id" => id = id.or(value),
                "secret_key" => key = value,
                "token" => token = value,
                _ => {}
            }
        }
    }
    let name = |word: &str| format!("{word} in {place}");
    match (id, key) {
        (None, None) => Ok(None),
        (Some(id), Some(key)) => {
            let names = [name("secret_id"), name("secret_key"), name("token")];
            let names = [names[0].as_str(), names[1].as_str(), names[2].as_str()];
            Credentials::checked(names, id, key, token, None).map(Some)
        }
        (Some(_), None) => Err(Error::Half { set: name("secret_id"), missing: name("secret_key") }),
        (None, Some(_)) => Err(Error::Half { set: name("secret_key"), missing: name("secret_id") }),
    }
}
