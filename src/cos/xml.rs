//! Walks through an XML document element by element, with limits. The parsers of listings, labels and errors use it.
//!
//! Names are local names, without a prefix. Text is unescaped and not trimmed. Unknown entities, a document type,
//! elements that are not closed, a second root and a depth of more than 16 are errors. Entities are never declared.
//!
//! [`Document::leaf`], [`Document::skim`] and [`Document::again`] are a fast path for elements of plain text, of which a
//! listing has thousands. They read only what [`Document::next`] would read in the same way, and leave the rest to it.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::text::shorten;

/// The most nested elements. No answer of the service is nested more deeply.
const DEPTH_MAX: usize = 16;

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// The document is not well-formed.
    #[error("malformed XML: {0}")]
    Malformed(String),
    /// The document has an entity that XML does not define.
    #[error("the unknown entity &{0};")]
    Entity(String),
    /// The document has a document type, in which entities could be declared.
    #[error("a document type")]
    DocType,
    /// Elements are nested too deeply.
    #[error("over {DEPTH_MAX} elements deep")]
    Depth,
    /// The document ends before its root does.
    #[error("the document is cut short")]
    Cut,
    /// Something follows the end of the root.
    #[error("something follows the end of the document")]
    Trailing,
    /// There is no root element.
    #[error("the document is empty")]
    Empty,
}

/// One step through a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<N> {
    /// An element begins. The value is its classified name.
    Open(N),
    /// The innermost element ends. [`Document::text`] returns its text.
    Close,
    /// The document ends.
    End,
}

/// An element of plain text: it has no attribute, no child and no entity.
pub(super) struct Leaf<'a, N> {
    /// The classified name of the element.
    pub(super) name: N,
    /// The text. If it is quoted, the `&quot;` at both ends are removed.
    pub(super) text: &'a str,
    /// True if the text was between quotes, as the value of an `ETag` is.
    pub(super) quoted: bool,
}

/// A walk through a document. The caller's function `classify` turns each local name into an `N`.
pub(super) struct Document<'a, N> {
    /// The whole document.
    source: &'a str,
    reader: Reader<&'a [u8]>,
    classify: fn(&str) -> N,
    /// How many elements are open.
    depth: usize,
    /// A bit for each open element, by its depth: set if the name was written without a prefix.
    plain: u32,
    root: Option<String>,
    close_next: bool,
    /// True if the innermost element has had no child so far. Only then is its text kept.
    leaf: bool,
    text: String,
}

impl<'a, N> Document<'a, N> {
    pub(super) fn new(source: &'a str, classify: fn(&str) -> N) -> Self {
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let mut reader = Reader::from_str(source);
        // An `&` without a `;` is an error, never text.
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

    /// Reads the next child of the innermost element in one step. Returns `None` if it is no leaf.
    pub(super) fn leaf(&mut self) -> Option<Leaf<'a, N>> {
        let (name, leaf, rest) = leaf(self.rest(1)?)?;
        self.walk_to(rest);
        let (text, quoted) = leaf;
        Some(Leaf { name: (self.classify)(name), text, quoted })
    }

    /// Skips the next child of the innermost element in one step, if it has only leaves and `skips` accepts its name.
    /// Returns `true` if it was skipped.
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

    /// Ends the innermost element, which must have the local name `name`, and begins the next one of that name in the
    /// same step. Returns `false` if anything else comes next.
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

    /// Returns the rest of the document, or `None` if no element is open or if `deeper` more would be too many.
    fn rest(&self, deeper: usize) -> Option<&'a str> {
        if self.close_next || self.depth == 0 || self.depth + deeper > DEPTH_MAX {
            return None;
        }
        // Between two steps the reader is at the end of a tag, and its source is the rest of the document.
        let at = self.source.len().checked_sub(self.reader.get_ref().len())?;
        self.source.get(at..)
    }

    /// Continues the walk at `rest`.
    fn walk_to(&mut self, rest: &'a str) {
        *self.reader.get_mut() = rest.as_bytes();
        self.leaf = false;
        self.text.clear();
    }

    /// Returns how many elements are open: 1 inside the root.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Returns the text of the element that has just ended, unescaped and not trimmed. It is empty if the element had a
    /// child.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the local name of the root, shortened; empty before the root has begun.
    pub(super) fn root(&self) -> &str {
        self.root.as_deref().unwrap_or_default()
    }

    /// Walks to the next beginning or end of an element.
    ///
    /// # Errors
    /// Returns an error if the document is malformed, cut, or beyond a limit. The walk cannot go on after that.
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
                // More than half of all texts are blanks between elements, which nobody reads.
                Ok(Event::Text(_)) if self.depth > 0 && !self.leaf => {}
                Ok(Event::Text(text)) => self.push(&text.xml10_content())?,
                Ok(Event::CData(text)) => self.push(&text.xml10_content())?,
                Ok(Event::GeneralRef(reference)) => self.resolve(&reference)?,
                Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => {}
                Ok(Event::DocType(_)) => return Err(Error::DocType),
                Ok(Event::Eof) if self.depth > 0 => return Err(Error::Cut),
                Ok(Event::Eof) if self.root.is_none() => return Err(Error::Empty),
                Ok(Event::Eof) => return Ok(Step::End),
                // An answer that was cut ends inside a tag.
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
        // The reader returns an error for an end tag without a start tag.
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

/// Reads a start tag of letters only, after blanks. Returns the name and the rest.
fn start(source: &str) -> Option<(&str, &str)> {
    let tag = source.trim_ascii_start().strip_prefix('<')?;
    let length = tag.bytes().position(|byte| !byte.is_ascii_alphabetic()).filter(|at| *at > 0)?;
    let (name, rest) = tag.split_at(length);
    Some((name, rest.strip_prefix('>')?))
}

/// Reads the end tag of this name. Returns the rest.
fn end<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    source.strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')
}

/// Reads an element of plain text, after blanks. Returns its name, its text and whether that was quoted, and the rest.
fn leaf(source: &str) -> Option<(&str, (&str, bool), &str)> {
    const QUOTE: &str = "&quot;";
    let (name, text) = start(source)?;
    let (text, quoted) = text.strip_prefix(QUOTE).map_or((text, false), |text| (text, true));
    // XML replaces a carriage return by a line feed, so such a text is not taken as it is.
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
                    // The next step clears the text.
                    write!(out, "|{}>", document.text()).unwrap();
                }
                Step::End => return Ok(out),
            }
        }
    }

    #[test]
    fn elements_have_their_local_names_and_unescaped_texts() {
        let source = "\u{feff}<?xml version='1.0' ?><!--c--><n:a x='1'> \
                      <b>&quot;x &amp; &#x732B;<![CDATA[<&]]>y </b><c/></n:a>\n";
        assert_eq!(walk(source).unwrap(), "<a<b|\"x & 猫<&y ><c|>|>");
    }

    #[test]
    fn the_fast_path_has_the_same_limit_of_depth() {
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
    fn a_document_that_is_not_whole_is_an_error() {
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
