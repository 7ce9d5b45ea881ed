//! Reads who is notified: `KIND ADDRESS [SECRET]` on a line.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::cli::outcome::secret::Secret;

/// What a receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A robot of `DingTalk`. With a secret, its requests are signed.
    DingTalk,
    /// A robot of `WeCom`. Its address is the secret.
    WeCom,
    /// A robot of Feishu. With a secret, its requests are signed.
    Feishu,
    /// Anything that takes a JSON object.
    Webhook,
}

impl Kind {
    const ALL: [Self; 4] = [Self::DingTalk, Self::WeCom, Self::Feishu, Self::Webhook];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DingTalk => "dingtalk",
            Self::WeCom => "wecom",
            Self::Feishu => "feishu",
            Self::Webhook => "webhook",
        }
    }

    const fn signs(self) -> bool {
        matches!(self, Self::DingTalk | Self::Feishu)
    }
}

/// Who is notified.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    pub(super) kind: Kind,
    pub(super) address: SecretString,
    /// The secret with which requests are signed. `None` if they are not signed.
    pub(super) secret: Option<SecretString>,
}

/// The least bytes of a part of an address that is hidden in an answer. Shorter parts occur in ordinary words.
const SECRET_LEAST: usize = 4;

/// The least bytes of a part of a path that is hidden: `send` and `webhook` are no secrets.
const SEGMENT_LEAST: usize = 8;

impl Receiver {
    /// The text without the address, parts of it, or the secret.
    pub(super) fn redacted(&self, text: &str) -> String {
        let address = self.address.expose_secret();
        let mut secrets = vec![address.to_owned()];
        let mut add = |part: &str, least: usize| {
            let decoded = crate::cos::encode::decode(part).unwrap_or_default().into_owned();
            secrets.extend([part.to_owned(), decoded].into_iter().filter(|one| one.len() >= least));
        };
        if let Ok(url) = Url::parse(address) {
            add(url.as_str(), SECRET_LEAST);
            add(&format!("{}:{}", url.username(), url.password().unwrap_or_default()), 2);
            for part in [url.username(), url.password().unwrap_or_default()] {
                add(part, SECRET_LEAST);
            }
            add(url.query().unwrap_or_default(), SECRET_LEAST);
            for part in url.query().unwrap_or_default().split('&') {
                add(part.split_once('=').map_or(part, |(_, value)| value), SECRET_LEAST);
            }
            for part in url.path_segments().into_iter().flatten() {
                add(part, SEGMENT_LEAST);
            }
        }
        if let Some(secret) = &self.secret {
            add(secret.expose_secret(), SECRET_LEAST);
        }
        // The longest comes first, so that no rest of it stays.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

/// The receivers of a text, or why a line cannot be used. The reason does not contain the line.
pub(super) fn all(found: &Secret) -> Vec<Result<Receiver, String>> {
    let separator = if found.is_variable { &['\n', ';'][..] } else { &['\n'] };
    let lines = found.text.split(separator).map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| {
            one(line).map_err(|reason| format!("{}, line {}: {reason}", found.origin, at + 1))
        })
        .collect()
}

fn one(line: &str) -> Result<Receiver, String> {
    let mut words = line.split_whitespace();
    let (Some(kind), Some(address)) = (words.next(), words.next()) else {
        return Err("expected KIND ADDRESS [SECRET]".to_owned());
    };
    let Some(kind) = Kind::ALL.into_iter().find(|one| one.name() == kind) else {
        return Err("the first word is none of dingtalk, wecom, feishu and webhook".to_owned());
    };
    match Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
        _ => {
            return Err(
                "the second word is no address that begins with https:// or http://".to_owned()
            );
        }
    }
    let secret = words.next();
    if secret.is_some() && !kind.signs() {
        return Err(format!(
            "{} takes no secret besides its address: remove the third word",
            kind.name()
        ));
    }
    if words.next().is_some() {
        return Err("expected KIND ADDRESS [SECRET], and there are more words".to_owned());
    }
    Ok(Receiver { kind, address: address.into(), secret: secret.map(Into::into) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, is_variable: bool) -> Vec<Result<Receiver, String>> {
        all(&Secret { text: text.to_owned(), origin: "robots".to_owned(), is_variable })
    }

    #[test]
    fn a_line_names_kind_address_and_secret() {
        let text = "# ours\n\n dingtalk https://a.example/send?access_token=t SEC1 \nwecom https://b.example?key=k\n";
        let found: Vec<_> = read(text, false).into_iter().map(Result::unwrap).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].secret.is_some()), (Kind::DingTalk, true));
        assert_eq!((found[1].kind, found[1].secret.is_some()), (Kind::WeCom, false));
        assert_eq!(read("feishu https://a.example/hook ; webhook http://b.example", true).len(), 2);
    }

    #[test]
    fn a_wrong_line_is_told_without_its_words() {
        for line in [
            "hush",
            "slack https://a.example/hush",
            "wecom a.example/hush",
            "wecom https://a.example/hush hush",
            "feishu https://a.example/hush hush hush",
        ] {
            let reason = read(line, false).remove(0).unwrap_err();
            assert!(reason.starts_with("robots, line 1: ") && !reason.contains("hush"), "{reason}");
        }
    }

    #[test]
    fn an_answer_that_repeats_the_address_is_redacted() {
        let receiver =
            one("dingtalk https://a.example/robot/send?access_token=hush-hush-1 SEChushhush")
                .unwrap();
        let told = receiver.redacted(
            "no token hush-hush-1 at https://a.example/robot/send?access_token=hush-hush-1 for SEChushhush",
        );
        assert!(!told.contains("hush"), "{told}");
    }

    #[test]
    fn user_password_and_short_parts_of_an_address_are_redacted() {
        let receiver =
            one("webhook https://robbie:hu%73h@a.example/hooks/services?key=hush1&v=hu%2Fsh")
                .unwrap();
        let told = receiver.redacted(
            "no robbie, hu%73h, hush, hush1, hu%2Fsh, hu/sh, robbie:hush in hooks of \
             https://robbie:hu%73h@a.example/hooks/services?key=hush1&v=hu%2Fsh",
        );
        for secret in ["robbie", "hush", "hu%", "hu/"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
        assert!(told.contains("in hooks of"), "{told}");
    }
}
