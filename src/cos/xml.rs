//! Walks an XML document element by element, with limits: what listing, labels and errors share.
//!
//! Local names only; text is unescaped and never trimmed; unknown entities, a document type, unclosed
//! elements, a second root and a depth over 16 are errors. Custom entities are never expanded.
//!
//! What a listing holds thousands of times, elements of nothing but plain text, can be taken in one step by
//! [`Document::leaf`], [`Document::skim`] and [`Document::again`]. They take only what [`Document::next`] would
//! read as the same, and leave everything else to it.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::text::shorten;

/// Deeper than any answer of the service, and far from any trouble.
const DEPTH_MAX: usize = 16;

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// Not well-formed.
    #[error("malformed XML: {0}")]
    Malformed(String),
    /// An entity that XML does not know by itself.
    #[error("the unknown entity &{0};")]
    Entity(String),
    /// A document type, where entities are declared.
    #[error("a document type")]
    DocType,
    /// Elements within elements without end.
    #[error("over {DEPTH_MAX} elements deep")]
    Depth,
    /// The end comes before the root's end.
    #[error("the document is cut short")]
    Cut,
    /// Something follows the root.
    #[error("something follows the end of the document")]
    Trailing,
    /// There is no root.
    #[error("the document is empty")]
    Empty,
}

/// One step through the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<N> {
    /// An element begins; what the caller makes of its local name.
    Open(N),
    /// The innermost element ends; [`Document::text`] is what it held.
    Close,
    /// The root has ended and nothing follows.
    End,
}

/// An element of nothing but text: no attribute, no child, no reference.
pub(super) struct Leaf<'a, N> {
    /// What the caller makes of its local name.
    pub(super) name: N,
    /// Its text, without the `&quot;` at both ends if it is quoted.
    pub(super) text: &'a str,
    /// Whether the text stands in quotes, as the value of an `ETag` does.
    pub(super) quoted: bool,
}

/// A document being walked; names are turned into the caller's `N` once.
pub(super) struct Document<'a, N> {
    source: &'a str,
    reader: Reader<&'a [u8]>,
    classify: fn(&str) -> N,
    depth: usize,
    /// A bit for each open element, by its depth: its name was written without a prefix.
    plain: u32,
    root: Option<String>,
    close_next: bool,
    /// Whether the innermost element has had no child so far: only then is its text of use.
    leaf: bool,
    text: String,
}

impl<'a, N> Document<'a, N> {
    pub(super) fn new(source: &'a str, classify: fn(&str) -> N) -> Self {
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let mut reader = Reader::from_str(source);
        // An `&` without its `;` is an error of its own kind, never text.
        reader.config_mut().allow_dangling_amp = false;
        let text = String::with_capacity(128);
        Self {
            source,
            reader,
            classify,
            depth: 0,
            plain: 0,
            root: None,
            close_next: false,
            leaf: false,
            text,
        }
    }

    /// Takes a whole child of the innermost element, if the next one is a leaf.
    pub(super) fn leaf(&mut self) -> Option<Leaf<'a, N>> {
        let (name, leaf, rest) = leaf(self.rest(1)?)?;
        self.walk_to(rest);
        let (text, quoted) = leaf;
        Some(Leaf { name: (self.classify)(name), text, quoted })
    }

    /// Walks past a child of the innermost element that holds leaves only, if its name is one to skip.
    pub(super) fn skim(&mut self, skips: impl Fn(N) -> bool) -> bool {
        let past = |rest: &'a str| {
            let (name, mut rest) = start(rest)?;
            if !skips((self.classify)(name)) {
                return None;
            }
            while let Some((_, _, after)) = leaf(rest) {
                rest = after;
            }
            end(rest.trim_ascii_start(), name)
        };
        let past = self.rest(2).and_then(past);
        if let Some(rest) = past {
            self.walk_to(rest);
        }
        past.is_some()
    }

    /// Ends the innermost element, whose local name the caller knows to be `name`, and begins another one of
    /// that name, if that is all that comes next.
    pub(super) fn again(&mut self, name: &str) -> bool {
        let sibling = |rest: &'a str| {
            let (next, rest) = start(end(rest.trim_ascii_start(), name)?)?;
            (next == name).then_some(rest)
        };
        let plain = self.plain & (1 << self.depth) != 0;
        let sibling = self.rest(0).filter(|_| plain).and_then(sibling);
        if let Some(rest) = sibling {
            self.walk_to(rest);
            self.leaf = true;
        }
        sibling.is_some()
    }

    /// What follows, if that is within an element, and `deeper` more of them may be opened there.
    fn rest(&self, deeper: usize) -> Option<&'a str> {
        if self.close_next || self.depth == 0 || self.depth + deeper > DEPTH_MAX {
            return None;
        }
        // Between two steps the reader stands behind a tag, and the source is what is left for it to read.
        let at = self.source.len().checked_sub(self.reader.get_ref().len())?;
        self.source.get(at..)
    }

    fn walk_to(&mut self, rest: &'a str) {
        *self.reader.get_mut() = rest.as_bytes();
        self.leaf = false;
        self.text.clear();
    }

    /// How many elements are open: 1 in the root.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The text, unescaped and untrimmed, of the element that has just ended, if it had no child.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The root's local name, shortened; empty before it was met.
    pub(super) fn root(&self) -> &str {
        self.root.as_deref().unwrap_or_default()
    }

    /// The next element that begins or ends.
    ///
    /// # Errors
    /// The document is malformed, over a limit or cut short; it cannot be walked on after that.
    pub(super) fn next(&mut self) -> Result<Step<N>, Error> {
        self.text.clear();
        if self.close_next {
            return Ok(self.close());
        }
        loop {
            match self.reader.read_event() {
                Ok(Event::Start(start)) => return self.open(&start),
                Ok(Event::Empty(start)) => {
                    self.close_next = true;
                    return self.open(&start);
                }
                Ok(Event::End(_)) => return Ok(self.close()),
                // The blanks between elements are over half of all texts, and nobody asks for them.
                Ok(Event::Text(_)) if self.depth > 0 && !self.leaf => {}
                Ok(Event::Text(text)) => self.push(&text.xml10_content())?,
                Ok(Event::CData(text)) => self.push(&text.xml10_content())?,
                Ok(Event::GeneralRef(reference)) => self.resolve(&reference)?,
                Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => {}
                Ok(Event::DocType(_)) => return Err(Error::DocType),
                Ok(Event::Eof) if self.depth > 0 => return Err(Error::Cut),
                Ok(Event::Eof) if self.root.is_none() => return Err(Error::Empty),
                Ok(Event::Eof) => return Ok(Step::End),
                // Unclosed markup at the end is what a cut answer looks like.
                Err(quick_xml::Error::Syntax(_)) => return Err(Error::Cut),
                Err(error) => return Err(Error::Malformed(shorten(&error.to_string()))),
            }
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<Step<N>, Error> {
        let name = start.name().local_name().into_inner();
        if self.depth == 0 {
            if self.root.is_some() {
                return Err(Error::Trailing);
            }
            self.root = Some(shorten(name));
        }
        if self.depth == DEPTH_MAX {
            return Err(Error::Depth);
        }
        self.depth += 1;
        self.leaf = true;
        let plain = start.name().into_inner().len() == name.len();
        self.plain = self.plain & !(1 << self.depth) | u32::from(plain) << self.depth;
        Ok(Step::Open((self.classify)(name)))
    }

    fn close(&mut self) -> Step<N> {
        self.close_next = false;
        self.leaf = false;
        // The reader refuses an end tag that nothing has opened.
        self.depth = self.depth.saturating_sub(1);
        Step::Close
    }

    fn push(&mut self, text: &str) -> Result<(), Error> {
        if self.depth > 0 {
            self.text.push_str(text);
            return Ok(());
        }
        match (text.trim().is_empty(), self.root.is_some()) {
            (true, _) => Ok(()),
            (false, true) => Err(Error::Trailing),
            (false, false) => Err(Error::Malformed("text before the root".to_owned())),
        }
    }

    fn resolve(&mut self, reference: &BytesRef<'_>) -> Result<(), Error> {
        match reference.resolve_char_ref() {
            Ok(Some(character)) => self.push(character.encode_utf8(&mut [0; 4])),
            Ok(None) => match resolve_xml_entity(reference) {
                Some(text) => self.push(text),
                None => Err(Error::Entity(shorten(reference))),
            },
            Err(error) => Err(Error::Malformed(shorten(&error.to_string()))),
        }
    }
}

/// A start tag of letters only, after blanks: the name, and what follows.
fn start(source: &str) -> Option<(&str, &str)> {
    let tag = source.trim_ascii_start().strip_prefix('<')?;
    let length = tag.bytes().position(|byte| !byte.is_ascii_alphabetic()).filter(|at| *at > 0)?;
    let (name, rest) = tag.split_at(length);
    Some((name, rest.strip_prefix('>')?))
}

/// What follows the end tag of this name.
fn end<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    source.strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')
}

/// An element of nothing but text, after blanks: its name, its text and whether that was quoted, and what follows.
fn leaf(source: &str) -> Option<(&str, (&str, bool), &str)> {
    const QUOTE: &str = "&quot;";
    let (name, text) = start(source)?;
    let (text, quoted) = text.strip_prefix(QUOTE).map_or((text, false), |text| (text, true));
    // A carriage return is read as another line end than it is written as.
    let length = text.bytes().position(|byte| matches!(byte, b'<' | b'&' | b'\r'))?;
    let (text, rest) = text.split_at(length);
    let rest = if quoted { rest.strip_prefix(QUOTE)? } else { rest };
    Some((name, (text, quoted), end(rest, name)?))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn walk(source: &str) -> Result<String, Error> {
        let mut document = Document::new(source, str::to_owned);
        let mut out = String::new();
        loop {
            match document.next()? {
                Step::Open(name) => write!(out, "<{name}").unwrap(),
                Step::Close => {
                    // The text of the element that has just ended is gone with the next call.
                    write!(out, "|{}>", document.text()).unwrap();
                }
                Step::End => return Ok(out),
            }
        }
    }

    #[test]
    fn elements_text_and_namespaces() {
        let source = "\u{feff}<?xml version='1.0' ?><!--c--><n:a x='1'> \
                      <b>&quot;x &amp; &#x732B;<![CDATA[<&]]>y </b><c/></n:a>\n";
        assert_eq!(walk(source).unwrap(), "<a<b|\"x & 猫<&y ><c|>|>");
    }

    #[test]
    fn one_step_goes_no_deeper_than_many() {
        for depth in [13, 14, 15, 16] {
            let source =
                format!("{}<b>x</b><c><d>y</d></c>{}", "<a>".repeat(depth), "</a>".repeat(depth));
            let mut document = Document::new(&source, str::to_owned);
            for _ in 0..depth {
                document.next().unwrap();
            }
            assert_eq!(document.leaf().is_some(), depth < 16, "{depth}");
            assert_eq!(document.skim(|name| name == "c"), depth < 15, "{depth}");
        }
    }

    #[test]
    fn what_is_no_whole_document_is_refused() {
        for (source, error) in [
            ("", Error::Empty),
            (" <!-- --> ", Error::Empty),
            ("<a>", Error::Cut),
            ("<a><b>x</b>", Error::Cut),
            ("<a><b", Error::Cut),
            ("<a/><b/>", Error::Trailing),
            ("<a/>x", Error::Trailing),
            ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", Error::DocType),
            ("<a>&x;</a>", Error::Entity("x".to_owned())),
            ("{}", Error::Malformed("text before the root".to_owned())),
        ] {
            assert_eq!(walk(source), Err(error), "{source}");
        }
        for source in ["<a></b>", "</a>", "<a>&x</a>", "<a>&#0;</a>", "<a>&#xD800;</a>"] {
            assert!(
                matches!(walk(source), Err(Error::Malformed(_))),
                "{source}: {:?}",
                walk(source)
            );
        }
        assert!(walk(&format!("{}{}", "<a>".repeat(16), "</a>".repeat(16))).is_ok());
        assert_eq!(walk(&"<a>".repeat(17)), Err(Error::Depth));
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn walking_never_panics(source in "[<>/a&;#x\"'! \\-\\[\\]?=\\PC]{0,60}") {
            let _ = walk(&source);
        }
    }
}
