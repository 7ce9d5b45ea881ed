//! Entry points for fuzzing: a function over bytes for each format that comes from outside.
//!
//! None of them may panic, hang, or produce more than it was given. Each function asserts this, and whatever else holds
//! for every input of its format.
//! The tests below run them on a corpus and its mutations; `tests/fuzz` runs them with cargo-fuzz.

use std::io::Cursor;
use std::path::PathBuf;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::config::{self, Files, PartialOptions, Settings};
use crate::cos::{self, ListRequest, credentials, detect_label, list};
use crate::import::{self, Images};
use crate::job::List;
use crate::job::verdict::{Operation, advice, verdict};
use crate::scene::Scenes;

/// A function that reads bytes from outside and asserts what holds for the result.
pub type Entry = fn(&[u8]);

/// Every entry point: its name, which is also the folder of its corpus, and the function.
pub const ENTRIES: [(&str, Entry); 8] = [
    ("list", list_page),
    ("label", label_answer),
    ("error", error_answer),
    ("decode", percent_decode),
    ("config", config_file),
    ("items", list_items),
    ("credentials", credentials_file),
    ("import", import_file),
];

/// Reads a file of labels.
pub fn import_file(input: &[u8]) {
    let bytes = Box::new(Cursor::new(input.to_vec()));
    let told = |error: &import::Error| {
        let text = error.to_string();
        assert!(text.len() <= TEXT_MAX && !text.contains(char::is_control), "{text:?}");
    };
    let mut images = match Images::read(bytes, String::new()) {
        Ok(images) => images,
        Err(error) => return told(&error),
    };
    let mut length = 0;
    loop {
        let image = match images.next_image() {
            Ok(Some(image)) => image,
            Ok(None) => break,
            Err(error) => return told(&error),
        };
        assert!(!image.key.is_empty() && !image.scenes.is_empty() && image.line > 0);
        let mut last = [0; 4];
        for label in image.labels.iter() {
            assert!(image.scenes.contains(label.scene) && !label.name.is_empty());
            assert!(label.confidence <= 100);
            let rank = &mut last[usize::from(label.scene.id())];
            assert!(label.rank == *rank + 1 && label.rank < 64);
            *rank = label.rank;
        }
        length += image.key.len() + image.labels.texts().len();
    }
    assert!(length <= input.len());
}

/// The longest code or message of an error in bytes: 4 KiB and a note.
const TEXT_MAX: usize = 4_096 + 30;

/// The longest text of an error in bytes: it shortens the names and values that it contains.
const MESSAGE_MAX: usize = 20_000;

/// Reads the body of a page of a listing.
pub fn list_page(body: &[u8]) {
    let page = match list::parse(body) {
        Ok(page) => page,
        Err(error) => return told(&error),
    };
    let texts = page.entries.iter().map(|entry| {
        entry.key.len()
            + entry.etag.as_ref().map_or(0, |etag| etag.to_string().len())
            + entry.storage_class.as_ref().map_or(0, |class| class.name().len())
            + entry.storage_tier.as_ref().map_or(0, String::len)
    });
    let rest = page.common_prefixes.iter().map(String::len);
    let echoes = [&page.name, &page.prefix, &page.marker, &page.next_marker];
    let echoes = echoes.into_iter().flatten().map(String::len);
    // A byte that is not UTF-8 becomes a character of three.
    assert!(texts.chain(rest).chain(echoes).sum::<usize>() <= 3 * body.len());
    for entry in &page.entries {
        assert!(!entry.key.is_empty() && entry.size.is_some());
        assert!(!entry.key.contains('\u{0}') || body.contains(&b'%') || body.contains(&0));
    }
    for rejected in &page.rejected {
        assert!(rejected.shown.chars().count() <= 80);
        assert!(!rejected.shown.contains(char::is_control));
    }
    let marker = page.marker.clone().unwrap_or_default();
    let prefix = page.prefix.clone().unwrap_or_default();
    let request = ListRequest { prefix, marker, ..ListRequest::default() };
    if page.prove(&request).is_ok() {
        assert!(page.entries.windows(2).all(|pair| pair[0].key < pair[1].key));
    }
    if let Ok(Some(next)) = page.next(&request.marker) {
        assert!(next > request.marker, "a listing goes on, or ends");
    }
}

/// Reads the body of a `detect-label` answer. The first byte is the set of scenes that was asked for.
pub fn label_answer(input: &[u8]) {
    let Some((asked, body)) = input.split_first() else { return };
    // Seeds that are samples begin with their markup.
    let (asked, body) = if *asked == b'<' { (15, input) } else { (*asked, body) };
    let asked = Scenes::from_bits(asked);
    match detect_label::parse(body, asked) {
        Ok(answer) => {
            let mut last = [0; 4];
            let mut length = 0;
            for label in answer.labels.iter() {
                assert!(label.confidence <= 100 && !label.name.trim().is_empty());
                assert!(asked.contains(label.scene) || answer.legacy);
                let rank = &mut last[usize::from(label.scene.id())];
                assert_eq!(label.rank, *rank + 1);
                *rank = label.rank;
                length +=
                    label.name.len() + label.first_category.len() + label.second_category.len();
            }
            assert!(length <= body.len());
        }
        Err(error) => told(&error),
    }
}

/// Reads an error answer: a status, lines of headers, an empty line, and the body; or only a body.
pub fn error_answer(input: &[u8]) {
    let at = input.windows(2).position(|two| two == b"\n\n");
    let (head, body) = at.map_or((&b""[..], input), |at| (&input[..at], &input[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
    let mut headers = HeaderMap::new();
    for line in lines.take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let status = status.unwrap_or(403);
    let error = cos::error::parse(status, &headers, body);
    assert_eq!(error.status, status);
    assert!(error.code.len() <= TEXT_MAX && error.message.len() <= TEXT_MAX);
    assert!(!error.code.contains(char::is_control) && !error.message.contains(char::is_control));
    for word in ["q-sign", "q-ak=", "StringToSign"] {
        assert!(!error.message.contains(word), "no signature in a message");
    }
    let error = cos::Error::from(error);
    let _ = error.complaint_about_time().map(|complaint| cos::Clock::default().correct(&complaint));
    for operation in [Operation::List, Operation::Head, Operation::Label] {
        let _ = (verdict(operation, false, &error), advice(operation, &error));
    }
    told(&error);
}

/// Decodes percent-encoded text, as in a listing.
pub fn percent_decode(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(decoded) = cos::decode(&text) {
        assert!(decoded.len() <= text.len());
        assert_eq!(cos::decode(&cos::encode(&decoded)).as_deref(), Ok(&*decoded));
        let _ = cos::addressable(&decoded);
    }
}

/// Reads the text of `costag.toml`.
pub fn config_file(input: &[u8]) {
    let Ok(text) = crate::text::decode(input.to_vec()) else { return };
    let options = PartialOptions::default();
    let path = PathBuf::from("costag.toml");
    let text = config::Content { path, text, role: config::Role::Named };
    let length = text.text.len();
    let files = Files::parse(std::slice::from_ref(&text));
    match files.and_then(|files| Settings::resolve(&options, |_| None, &files)) {
        Ok((settings, _)) => assert!(settings.pace.workers.most() <= 4096),
        Err(error) => {
            assert!(error.to_string().len() <= MESSAGE_MAX + length, "{error}");
        }
    }
}

/// Reads a list of keys or URLs in each of its forms.
pub fn list_items(input: &[u8]) {
    let name = || "a list".to_owned();
    for nul in [false, true] {
        let keys = List::keys_in(Cursor::new(input.to_vec()), nul, name());
        let keys = keys.map_or(0, Iterator::count);
        assert!(keys <= input.len());
        let urls = List::urls_in(Cursor::new(input.to_vec()), nul, name());
        assert!(urls.map_or(0, Iterator::count) <= input.len() + 1);
    }
}

/// Reads a file of another tool with credentials, or the output of a credential process.
pub fn credentials_file(input: &[u8]) {
    for error in credentials::read_every_form(input).into_iter().flatten() {
        assert!(error.to_string().len() <= 200, "no error repeats what a file holds: {error}");
    }
}

fn told(error: &cos::Error) {
    let text = error.to_string();
    assert!(text.len() <= MESSAGE_MAX, "{} bytes: {text:.200}", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;
    use proptest::sample::Index;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    use super::*;

    /// Seeds of an entry: its folder, and the samples of the same name.
    fn corpus(name: &str) -> Vec<Vec<u8>> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let files = |folder: &str, begin: &str| {
            let mut paths: Vec<_> = fs::read_dir(data.join(folder))
                .unwrap_or_else(|error| panic!("{folder}: {error}"))
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(begin))
                .collect();
            // The order of a folder is the system's.
            paths.sort();
            paths.into_iter().map(|path| fs::read(path).unwrap())
        };
        let seeds = files(&format!("fuzz/{name}"), "").chain(files("samples", name));
        seeds.collect()
    }

    /// One change: where, which, and with what.
    #[derive(Debug, Clone)]
    enum Change {
        Put(Index, Vec<u8>),
        Cut(Index, Index),
        Flip(Index, u8),
        Repeat(Index, Index, usize),
        Splice(Index, Index),
        Stop(Index),
    }

    fn change() -> impl Strategy<Value = Change> {
        let index = any::<Index>;
        // Besides random bytes, these are the sequences that parsers often handle wrongly.
        let awkward = prop::sample::select(vec![
            &b"\0"[..],
            b"\xff\xfe",
            b"<",
            b">",
            b"/>",
            b"&#x110000;",
            b"&lol;",
            b"]]>",
            b"<![CDATA[",
            b"%",
            b"%00",
            b"%ff",
            b"\r\n",
            b"\"",
            b"-1",
            b"9223372036854775808",
            b"1e999",
            b"NaN",
            b"-9999-01-01T00:00:00Z",
            b"9999-12-31T23:59:60Z",
            b"\xe2\x80\xae",
            b"\x1b[2J",
            b"url",
            b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
            b"<Contents>",
            b"</Contents>",
            b"=",
            b"[",
            b"'''",
        ]);
        let bytes =
            prop_oneof![awkward.prop_map(<[u8]>::to_vec), prop::collection::vec(any::<u8>(), 1..8)];
        prop_oneof![
            (index(), bytes).prop_map(|(at, bytes)| Change::Put(at, bytes)),
            (index(), index()).prop_map(|(from, to)| Change::Cut(from, to)),
            (index(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
            (index(), index(), 1_usize..40)
                .prop_map(|(from, to, times)| Change::Repeat(from, to, times)),
            (index(), index()).prop_map(|(at, other)| Change::Splice(at, other)),
            index().prop_map(Change::Stop),
        ]
    }

    fn apply(seed: &mut Vec<u8>, change: &Change, corpus: &[Vec<u8>]) {
        let place = |index: &Index, length: usize| index.index(length + 1);
        let length = seed.len();
        let span = |from: &Index, to: &Index| {
            let (from, to) = (place(from, length), place(to, length));
            from.min(to)..from.max(to)
        };
        match change {
            Change::Put(at, bytes) => {
                let at = place(at, length);
                seed.splice(at..at, bytes.iter().copied());
            }
            Change::Cut(from, to) => drop(seed.drain(span(from, to))),
            Change::Flip(..) if seed.is_empty() => {}
            Change::Flip(at, bits) => seed[at.index(length)] ^= bits,
            Change::Repeat(from, to, times) => {
                let span = span(from, to);
                let part = seed[span.clone()].repeat(*times);
                seed.splice(span, part);
                seed.truncate(256 * 1024);
            }
            Change::Splice(at, other) => {
                let other = other.get(corpus);
                let from = place(at, other.len());
                seed.truncate(place(at, length));
                seed.extend_from_slice(&other[from..]);
            }
            Change::Stop(at) => seed.truncate(place(at, length)),
        }
    }

    #[test]
    fn the_corpus_and_what_is_near_it() {
        for (name, entry) in ENTRIES {
            let corpus = corpus(name);
            assert!(corpus.len() >= 5, "{name}");
            for seed in &corpus {
                entry(seed);
            }
            // The seed is fixed, so that a failure is found again.
            let config = Config { cases: 600, failure_persistence: None, ..Config::default() };
            let generator = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
            let mut runner = TestRunner::new_with_rng(config, generator);
            let cases = (any::<Index>(), prop::collection::vec(change(), 1..6));
            runner
                .run(&cases, |(seed, changes)| {
                    let mut input = seed.get(&corpus).clone();
                    for change in &changes {
                        apply(&mut input, change, &corpus);
                    }
                    entry(&input);
                    Ok(())
                })
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
