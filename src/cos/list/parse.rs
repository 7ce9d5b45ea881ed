//! Reads `ListBucketResult` event by event: the fields of a page of a thousand keys take no allocation each.

use std::borrow::Cow;

use super::time::parse_time;
use super::{ETAG_MAX, KEYS_MAX, ListPage, ObjectEntry, Rejected, Restore, read_size, unquote};
use crate::cos::encode::{self, DecodeError};
use crate::cos::error::{Error, ServiceError};
use crate::cos::text::shorten;
use crate::cos::xml::{Document, Leaf, Step};
use crate::object::{ETag, StorageClass};

/// The elements that are read. Any other element is skipped with everything inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Root,
    Contents,
    CommonPrefixes,
    Bucket,
    EncodingType,
    Prefix,
    Marker,
    NextMarker,
    IsTruncated,
    Key,
    LastModified,
    ETag,
    Size,
    StorageClass,
    StorageTier,
    RestoreStatus,
    Other,
}

fn classify(name: &str) -> Name {
    match name {
        "ListBucketResult" => Name::Root,
        "Contents" => Name::Contents,
        "CommonPrefixes" => Name::CommonPrefixes,
        "Name" => Name::Bucket,
        "EncodingType" => Name::EncodingType,
        "Prefix" => Name::Prefix,
        "Marker" => Name::Marker,
        "NextMarker" => Name::NextMarker,
        "IsTruncated" => Name::IsTruncated,
        "Key" => Name::Key,
        "LastModified" => Name::LastModified,
        "ETag" => Name::ETag,
        "Size" => Name::Size,
        "StorageClass" => Name::StorageClass,
        "StorageTier" => Name::StorageTier,
        "RestoreStatus" => Name::RestoreStatus,
        _ => Name::Other,
    }
}

/// The element whose children are being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Document,
    Page,
    Entry,
    Folded,
}

/// Reads the body of a page ("GET Bucket (List Objects)").
///
/// # Errors
/// Returns [`Error::Unusable`], with status 200 and without a request id, if the body is not a whole page: it is
/// malformed or cut, has another root or no `IsTruncated`, or has an entry without a key. Returns [`Error::Service`] if
/// the root is `Error`.
pub fn parse(body: &[u8]) -> Result<ListPage, Error> {
    if body.len() > super::BODY_MAX {
        return Err(unusable("longer than 16 MiB"));
    }
    // Checking the whole text is many times as fast as the search for a broken character.
    let text = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(body),
    };
    match Parser::new(&text, false).run() {
        // `EncodingType` came after names that were read without it, so the page is read again.
        Err(Stop::Encoded) => Parser::new(&text, true).run(),
        result => result,
    }
    .map_err(|stop| match stop {
        Stop::Unusable(reason) => unusable(&reason),
        Stop::Service(error) => Error::Service(error),
        Stop::Encoded => unusable("EncodingType is there twice"),
    })
}

fn unusable(reason: &str) -> Error {
    Error::Unusable { reason: reason.to_owned(), status: 200, request_id: None }
}

enum Stop {
    Unusable(String),
    Service(Box<ServiceError>),
    Encoded,
}

impl From<&str> for Stop {
    fn from(reason: &str) -> Self {
        Self::Unusable(reason.to_owned())
    }
}

/// The fields of a `Contents` element that were read so far.
#[derive(Default)]
struct Entry {
    object: ObjectEntry,
    key: Option<Rejected>,
    has_key: bool,
    size: Option<u64>,
}

impl Entry {
    fn field(&mut self, name: Name, text: &str, encoded: bool, lossy: bool) -> Result<(), Stop> {
        let object = &mut self.object;
        match name {
            Name::Key => {
                if self.has_key {
                    return Err("an entry with two keys".into());
                }
                self.has_key = true;
                match decode(text, encoded, lossy) {
                    Ok(key) if key.is_empty() => {
                        self.key = Some(rejected(text, "the key is empty"));
                    }
                    Ok(key) => object.key = key.into_owned(),
                    Err(DecodeError::Utf8) => {
                        self.key = Some(rejected(text, "the key is not UTF-8"));
                    }
                    Err(DecodeError::Escape) => {
                        self.key = Some(rejected(text, "the key's encoding is broken"));
                    }
                }
            }
            Name::LastModified => object.last_modified = parse_time(text.trim()),
            Name::ETag => object.etag = unquote(text),
            Name::Size => self.size = read_size(text),
            Name::StorageClass => object.storage_class = StorageClass::new(text.trim()),
            Name::StorageTier => object.storage_tier = Some(text.trim().to_owned()),
            _ => object.restored = restore(text),
        }
        Ok(())
    }
}

struct Parser<'a> {
    text: &'a str,
    document: Document<'a, Name>,
    page: ListPage,
    entry: Entry,
    place: Place,
    /// True if the page says that its names are percent-encoded. The request is not taken as proof.
    encoded: bool,
    decoded_any: bool,
    /// True if the body had bytes that are not UTF-8. They were replaced by U+FFFD, so a key with that character is not
    /// the real key.
    lossy: bool,
    is_truncated: Option<bool>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a Cow<'a, str>, encoded: bool) -> Self {
        Self {
            text,
            document: Document::new(text, classify),
            page: ListPage {
                // An entry takes more than 400 bytes in the form in which the service writes it.
                entries: Vec::with_capacity((text.len() / 400).min(KEYS_MAX.into())),
                ..ListPage::default()
            },
            entry: Entry::default(),
            place: Place::Document,
            encoded,
            decoded_any: false,
            lossy: matches!(text, Cow::Owned(_)),
            is_truncated: None,
        }
    }

    fn run(mut self) -> Result<ListPage, Stop> {
        let mut field = None;
        // The depth of the element that is being skipped; 0 if none is.
        let mut skipping = 0;
        loop {
            if self.place == Place::Entry && field.is_none() && skipping == 0 {
                self.plain_entries()?;
            }
            let step = self.document.next().map_err(|e| Stop::Unusable(e.to_string()))?;
            match step {
                Step::Open(_) if skipping > 0 => {}
                Step::Open(_) if field.is_some() => return Err("an element inside a value".into()),
                Step::Open(name) => match (self.place, name) {
                    (Place::Document, Name::Root) => self.place = Place::Page,
                    (Place::Document, _) => return Err(self.wrong_root()),
                    (Place::Page, Name::Contents) => self.place = Place::Entry,
                    (Place::Page, Name::CommonPrefixes) => self.place = Place::Folded,
                    (place, name) if is_field(place, name) => field = Some(name),
                    _ => skipping = self.document.depth(),
                },
                Step::Close if skipping > 0 => {
                    if self.document.depth() < skipping {
                        skipping = 0;
                    }
                }
                Step::Close => match (field.take(), self.place) {
                    (Some(name), Place::Page) => self.page_field(name)?,
                    (Some(name), Place::Entry) => {
                        self.decoded_any |= name == Name::Key;
                        let text = self.document.text();
                        self.entry.field(name, text, self.encoded, self.lossy)?;
                    }
                    (Some(_), _) => {
                        if let Some(prefix) = self.value()? {
                            self.page.common_prefixes.push(prefix);
                        }
                    }
                    (None, Place::Entry) => {
                        self.finish_entry()?;
                        self.place = Place::Page;
                    }
                    (None, Place::Folded) => self.place = Place::Page,
                    (None, _) => {}
                },
                Step::End => break,
            }
        }
        self.page.is_truncated = self.is_truncated.ok_or("IsTruncated is missing")?;
        Ok(self.page)
    }

    /// Reads entries as long as they have the form in which the service writes them. The general reader takes the rest.
    fn plain_entries(&mut self) -> Result<(), Stop> {
        loop {
            if let Some(Leaf { name, text, quoted }) = self.document.leaf() {
                match name {
                    _ if !is_field(Place::Entry, name) => {}
                    // The quotes are removed already.
                    Name::ETag if quoted && text.len() <= ETAG_MAX => {
                        self.entry.object.etag = ETag::new(text);
                    }
                    _ if quoted => self.plain_field(name, &format!("\"{text}\""))?,
                    _ => self.plain_field(name, text)?,
                }
            } else if self.document.again("Contents") {
                self.finish_entry()?;
            } else if !self.document.skim(|name| name == Name::Other) {
                return Ok(());
            }
        }
    }

    fn plain_field(&mut self, name: Name, text: &str) -> Result<(), Stop> {
        self.decoded_any |= name == Name::Key;
        self.entry.field(name, text, self.encoded, self.lossy)
    }

    fn wrong_root(&self) -> Stop {
        if self.document.root() == "Error"
            && let Some(mut error) = crate::cos::error::parse_xml(self.text)
        {
            error.status = 200;
            return Stop::Service(Box::new(error));
        }
        Stop::Unusable(format!("the root is {}, not ListBucketResult", self.document.root()))
    }

    fn page_field(&mut self, name: Name) -> Result<(), Stop> {
        match name {
            Name::EncodingType => {
                if !self.document.text().trim().eq_ignore_ascii_case("url") {
                    return Err("an unknown EncodingType".into());
                }
                if !self.encoded && self.decoded_any {
                    return Err(Stop::Encoded);
                }
                self.encoded = true;
            }
            Name::Bucket => self.page.name = Some(self.document.text().to_owned()),
            Name::Prefix => self.page.prefix = self.value()?,
            Name::Marker => self.page.marker = self.value()?,
            Name::NextMarker => self.page.next_marker = self.value()?,
            _ => {
                if self.is_truncated.is_some() {
                    return Err("IsTruncated is there twice".into());
                }
                self.is_truncated = Some(match self.document.text().trim() {
                    "true" => true,
                    "false" => false,
                    _ => return Err("IsTruncated is neither true nor false".into()),
                });
            }
        }
        Ok(())
    }

    fn finish_entry(&mut self) -> Result<(), Stop> {
        let entry = std::mem::take(&mut self.entry);
        if !entry.has_key {
            return Err("an entry without a key".into());
        }
        let mut object = entry.object;
        match (entry.key, entry.size) {
            (Some(rejected), _) => self.page.rejected.push(rejected),
            (None, Some(size)) => {
                object.size = Some(size);
                self.page.entries.push(object);
            }
            (None, _) => {
                let reason = "the size is not a number of bytes";
                let shown = shorten(&object.key);
                self.page.rejected.push(Rejected { key: Some(object.key), shown, reason });
            }
        }
        Ok(())
    }

    /// Returns the text of a name other than the key of an entry; `None` if it is not UTF-8.
    fn value(&mut self) -> Result<Option<String>, Stop> {
        self.decoded_any = true;
        match decode(self.document.text(), self.encoded, self.lossy) {
            Ok(text) => Ok(Some(text.into_owned())),
            Err(DecodeError::Utf8) => Ok(None),
            Err(DecodeError::Escape) => Err("a name with a broken encoding".into()),
        }
    }
}

/// Returns `true` if this element is a value that is read in this place.
fn is_field(place: Place, name: Name) -> bool {
    match place {
        Place::Document => false,
        Place::Page => matches!(
            name,
            Name::Bucket
                | Name::EncodingType
                | Name::Prefix
                | Name::Marker
                | Name::NextMarker
                | Name::IsTruncated
        ),
        Place::Entry => matches!(
            name,
            Name::Key
                | Name::LastModified
                | Name::ETag
                | Name::Size
                | Name::StorageClass
                | Name::StorageTier
                | Name::RestoreStatus
        ),
        Place::Folded => name == Name::Prefix,
    }
}

fn decode(text: &str, encoded: bool, lossy: bool) -> Result<Cow<'_, str>, DecodeError> {
    if lossy && text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(DecodeError::Utf8);
    }
    if encoded { encode::decode(text) } else { Ok(Cow::Borrowed(text)) }
}

fn rejected(shown: &str, reason: &'static str) -> Rejected {
    Rejected { key: None, shown: shorten(shown), reason }
}

fn restore(text: &str) -> Option<Restore> {
    // coscli looks for the misspelling too.
    match text.trim() {
        "" => None,
        "ONGOING" | "ONGING" => Some(Restore::Ongoing),
        _ => Some(Restore::Done),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parts of an entry, usual and unusual ones.
    const PIECES: [&str; 32] = [
        "<Key>a</Key>",
        "<Key>b%20&amp;</Key>",
        "<Key>c\r\nd</Key>",
        "<Key>&quot;e&quot;</Key>",
        "<Key></Key>",
        "<Key/>",
        "<n:Key>f</n:Key>",
        "<Key x='1'>g</Key>",
        "<Key><b/></Key>",
        "<ETag>&quot;1&quot;</ETag>",
        "<ETag>&quot;</ETag>",
        "<ETag>&quot;&quot;&quot;</ETag>",
        "<ETag> \"2\" </ETag>",
        "<Size>3</Size>",
        "<Size>&quot;3&quot;</Size>",
        "<Size>-3</Size>",
        "<Size >4</Size >",
        "<LastModified>2026-03-14T08:15:30.000Z</LastModified>",
        "<LastModified>2026-03-14T08:15:30Z</LastModified>",
        "<StorageClass>STANDARD</StorageClass>",
        "<Owner>\n<ID>1</ID> <DisplayName>2</DisplayName>\n</Owner>",
        "<Owner><ID><x>1</x></ID></Owner>",
        "<Owner>x<ID>&#65;</ID></Owner>",
        "<RestoreStatus>ONGOING</RestoreStatus>",
        "</Contents>\n<Contents>",
        "</Contents><Contents x='1'>",
        "</Contents>x<Contents>",
        "</Contents><CommonPrefixes><Prefix>p</Prefix></CommonPrefixes><n:Contents>",
        "</n:Contents><Contents>",
        "</Contents>",
        "<!-- -->",
        "text &#65; \u{e9}",
    ];

    proptest! {
        #![proptest_config(crate::property::config())]

        /// Compares the fast reader with the general one. A processing instruction before each end tag changes no value,
        /// but makes the fast reader leave everything to the general one.
        #[test]
        fn the_fast_reader_returns_what_the_general_one_does(
            pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..16)
        ) {
            let page = format!(
                "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>{}</Contents>\
                 </ListBucketResult>",
                pieces.concat()
            );
            let many = page.replace("</", "<?x?></");
            prop_assert_eq!(parse(page.as_bytes()).ok(), parse(many.as_bytes()).ok(), "{}", page);
        }
    }
}
