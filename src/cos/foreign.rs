//! Recognises answers that do not come from the service but from a proxy, a captive portal or a gateway in between.
//!
//! Every answer of the service has a request id. Its bodies are XML documents with a few known roots, or JSON with a
//! code. An answer with none of these says nothing about an image, a key or the account.

use super::text::{is_unseen, one_line, shorten};

/// The names of the root elements that the service sends.
const ROOTS: [&str; 3] = ["RecognitionResult", "ListBucketResult", "Error"];

/// Returns `true` if the body begins like a document of the service, even if it is cut or malformed further on.
pub(super) fn has_known_root(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let skipped = if rest.starts_with("<?") {
            rest.split_once("?>")
        } else if rest.starts_with("<!--") {
            rest.split_once("-->")
        } else {
            break;
        };
        // The declaration or comment does not end, so there is no root.
        let Some((_, after)) = skipped else { return false };
        rest = after.trim_start();
    }
    let Some(name) = rest.strip_prefix('<') else { return false };
    let name = name.split(|c: char| c.is_whitespace() || c == '>' || c == '/').next();
    let local = name.map(|name| name.rsplit(':').next().unwrap_or(name));
    local.is_some_and(|local| ROOTS.contains(&local))
}

/// Describes a body that the service would not send. Returns `None` if the body may be XML, JSON or plain text.
pub(super) fn describe(body: &[u8]) -> Option<String> {
    if body.starts_with(&[0x1f, 0x8b]) {
        return Some("a gzip body".to_owned());
    }
    if body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Some("a zstd body".to_owned());
    }
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return Some("an empty body".to_owned());
    }
    html(&text)
}

/// Describes an HTML page by its title. Returns `None` if the text is not HTML.
pub(super) fn html(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if !["<html", "<!doctype html", "<head>", "<body"].iter().any(|mark| lower.contains(mark)) {
        return None;
    }
    let title = lower.find("<title").and_then(|at| {
        let start = at + lower[at..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        let title = text[start..end].split_whitespace().collect::<Vec<_>>().join(" ");
        let title: String = title.chars().filter(|c| !is_unseen(*c)).collect();
        (!title.is_empty()).then(|| shorten(&title))
    });
    Some(format!("an HTML page: {}", title.as_deref().unwrap_or("without a title")))
}

/// Describes any body for a message.
pub(super) fn name(body: &[u8]) -> String {
    describe(body).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&body[..body.len().min(1024)]);
        let words: String = one_line(&text).chars().take(80).collect();
        format!("the text {words:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_described_by_its_kind() {
        for (body, told) in [
            (
                &b"<!DOCTYPE html><HTML><head><Title lang=en>\n Log  in</TITLE>"[..],
                "an HTML page: Log in",
            ),
            (b"<html>", "an HTML page: without a title"),
            (b"\x1f\x8b\x08\x00", "a gzip body"),
            (b" \r\n", "an empty body"),
            (b"no healthy\nupstream", "the text \"no healthy upstream\""),
        ] {
            assert_eq!(name(body), told);
        }
        assert_eq!(describe(b"<RecognitionResult/>"), None);
    }

    #[test]
    fn a_document_of_the_service_is_recognised_by_its_root() {
        for body in [
            "<Error/>",
            "\u{feff}<?xml version='1.0'?>\n<!-- c --><Error><Code>",
            "<ListBucketResult xmlns=\"x\">",
            "<n:RecognitionResult>cut",
        ] {
            assert!(has_known_root(body.as_bytes()), "{body}");
        }
        for body in ["", "<?xml ", "<html><Error/>", "Error", "<Errors>", "{\"code\":1}"] {
            assert!(!has_known_root(body.as_bytes()), "{body}");
        }
    }
}
