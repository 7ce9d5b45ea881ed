//! The pages of a listing: paging, prefix, delimiter, and XML ("GET Bucket (List Objects)").

use super::catalogue::View;
use super::object::Object;
use super::percent::{self, Parameter};
use super::{clock, xml};
use std::fmt::Write as _;

/// The parameters of a listing, decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    /// Only keys with this prefix are listed; empty for all.
    pub(super) prefix: Vec<u8>,
    /// The page begins after this key or common prefix; empty for the first page.
    pub(super) marker: Vec<u8>,
    /// Keys with this text after the prefix are folded; empty to fold none.
    pub(super) delimiter: Vec<u8>,
    /// The most entries of the page.
    pub(super) max_keys: usize,
    /// True to percent-encode the names in the page.
    pub(super) url_encoded: bool,
}

impl Query {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    ///
    /// Returns the message of an `InvalidArgument`.
    pub(super) fn parse(parameters: &[Parameter]) -> Result<Self, &'static str> {
        let value = |name| percent::find(parameters, name).unwrap_or_default().to_vec();
        let max_keys = match percent::find(parameters, "max-keys") {
            None | Some(b"") => 1000,
            Some(text) => std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok())
                .filter(|count| *count <= 1000)
                .ok_or("max-keys is a number from 0 to 1000")?,
        };
        let url_encoded = match percent::find(parameters, "encoding-type") {
            None | Some(b"") => false,
            Some(b"url") => true,
            Some(_) => return Err("encoding-type can only be url"),
        };
        let (prefix, marker, delimiter) = (value("prefix"), value("marker"), value("delimiter"));
        Ok(Self { prefix, marker, delimiter, max_keys, url_encoded })
    }
}

/// A page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The listed objects in key order.
    pub(super) contents: Vec<Object>,
    /// The common prefixes in order.
    pub(super) common_prefixes: Vec<Vec<u8>>,
    /// The last key or common prefix of the page; `None` on the last page.
    pub(super) next_marker: Option<Vec<u8>>,
}

/// Returns one page of the bucket.
pub(super) fn list(view: &View<'_>, query: &Query) -> Page {
    let mut page = Page::default();
    if query.max_keys == 0 {
        return page;
    }
    let mut walk = if query.marker >= query.prefix {
        view.walk(&query.marker, true)
    } else {
        view.walk(&query.prefix, false)
    };
    let mut last: Vec<u8> = Vec::new();
    while let Some(object) = walk.next() {
        if !object.key.starts_with(&query.prefix) {
            break;
        }
        let common = common_prefix(&object.key, query);
        // The marker may be the common prefix at the end of the page before.
        let listed_before = common.as_ref() == Some(&query.marker);
        if !listed_before {
            if page.contents.len() + page.common_prefixes.len() == query.max_keys {
                page.next_marker = Some(last);
                break;
            }
            last.clone_from(common.as_ref().unwrap_or(&object.key));
        }
        match common {
            None => page.contents.push(object),
            Some(common) => {
                let Some(after) = successor(&common) else { break };
                walk = view.walk(&after, false);
                if !listed_before {
                    page.common_prefixes.push(common);
                }
            }
        }
    }
    page
}

/// Returns the common prefix that a key is folded into; `None` if it is listed itself.
fn common_prefix(key: &[u8], query: &Query) -> Option<Vec<u8>> {
    let length = query.delimiter.len();
    if length == 0 {
        return None;
    }
    let rest = &key[query.prefix.len()..];
    let at = rest.windows(length).position(|part| part == query.delimiter)?;
    Some(key[..query.prefix.len() + at + length].to_vec())
}

/// Returns the first byte string after all that start with `prefix`; `None` if there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

/// Returns the page as XML. `bucket` is the name of the bucket, `NAME-APPID`.
pub(super) fn render(page: &Page, query: &Query, bucket: &str) -> String {
    let appid = bucket.rsplit('-').next().unwrap_or_default();
    let mut out = String::with_capacity(600 + page.contents.len() * 420);
    let element = |out: &mut String, name: &str, key: &[u8]| {
        let _ = write!(out, "\t<{name}");
        if key.is_empty() {
            out.push_str("/>\n");
        } else {
            out.push('>');
            xml::key_into(out, key, query.url_encoded);
            let _ = writeln!(out, "</{name}>");
        }
    };
    out.push_str("<?xml version='1.0' encoding='utf-8' ?>\n<ListBucketResult>\n\t<Name>");
    out.push_str(bucket);
    out.push_str("</Name>\n");
    if query.url_encoded {
        out.push_str("\t<EncodingType>url</EncodingType>\n");
    }
    element(&mut out, "Prefix", &query.prefix);
    element(&mut out, "Marker", &query.marker);
    let _ = writeln!(out, "\t<MaxKeys>{}</MaxKeys>", query.max_keys);
    if !query.delimiter.is_empty() {
        out.push_str("\t<Delimiter>");
        xml::escape_into(&mut out, &query.delimiter);
        out.push_str("</Delimiter>\n");
    }
    let _ = writeln!(out, "\t<IsTruncated>{}</IsTruncated>", page.next_marker.is_some());
    if let Some(next) = &page.next_marker {
        element(&mut out, "NextMarker", next);
    }
    for prefix in &page.common_prefixes {
        out.push_str("\t<CommonPrefixes>\n\t");
        element(&mut out, "Prefix", prefix);
        out.push_str("\t</CommonPrefixes>\n");
    }
    for object in &page.contents {
        object_into(&mut out, object, query.url_encoded, appid);
    }
    out.push_str("</ListBucketResult>\n");
    out
}

fn object_into(out: &mut String, object: &Object, url_encoded: bool, appid: &str) {
    out.push_str("\t<Contents>\n\t\t<Key>");
    xml::key_into(out, &object.key, url_encoded);
    out.push_str("</Key>\n\t\t<LastModified>");
    out.push_str(&clock::iso(object.last_modified));
    out.push_str(".000Z</LastModified>\n\t\t<ETag>&quot;");
    out.push_str(&object.etag);
    out.push_str("&quot;</ETag>\n\t\t<Size>");
    xml::push_number(out, object.size);
    out.push_str("</Size>\n\t\t<Owner>\n\t\t\t<ID>");
    out.push_str(appid);
    out.push_str("</ID>\n\t\t\t<DisplayName>");
    out.push_str(appid);
    out.push_str("</DisplayName>\n\t\t</Owner>\n\t\t<StorageClass>");
    out.push_str(&object.storage_class);
    out.push_str("</StorageClass>\n\t</Contents>\n");
}

#[cfg(test)]
mod tests;
