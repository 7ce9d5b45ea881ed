use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::cos::encode;
use crate::cos::error::Error;

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../tests/data/samples/", $name, ".xml"))
    };
}

fn page(text: &str) -> ListPage {
    parse(text.as_bytes()).unwrap()
}

fn keys(page: &ListPage) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.key.as_str()).collect()
}

fn unusable(body: impl AsRef<[u8]>) -> String {
    match parse(body.as_ref()) {
        Err(Error::Unusable { reason, status: 200, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_that_folds_its_keys_unasked_is_unproven() {
    let request = ListRequest::default();
    let page = |prefixes: &[&str]| ListPage {
        prefix: Some(String::new()),
        marker: Some(String::new()),
        common_prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
        ..ListPage::default()
    };
    assert_eq!(page(&[]).prove(&request), Ok(()));
    assert!(matches!(page(&["a/"]).prove(&request), Err(Unproven::Folded { .. })));
    let folding = ListRequest { delimiter: Some("/".to_owned()), ..request };
    assert_eq!(page(&["a/"]).prove(&folding), Ok(()));
}

#[test]
fn the_objects_of_a_page_are_in_its_order() {
    let page = page(sample!("list-normal"));
    assert_eq!(page.name.as_deref(), Some("examplebucket-1250000000"));
    assert_eq!(
        keys(&page),
        [
            "albums/",
            "albums/2025/IMG_0001.jpg",
            "albums/2025/IMG_0002.jpg",
            "albums/2025/clip.mp4",
            "albums/2025/thumb.png",
            "readme & notes <v1>.txt",
        ]
    );
    let clip = &page.entries[3];
    assert_eq!(clip.etag, ETag::new("0c80bd9c7f2cbbdd9a25dd50594ff24e-9"));
    assert_eq!(clip.size, Some(73_400_320));
    assert_eq!(clip.last_modified, Some(UnixMillis(1_773_476_130_000)));
    assert_eq!(clip.storage_class, Some(StorageClass::Standard));
    assert_eq!(page.entries[4].storage_tier.as_deref(), Some("FREQUENT"));
    assert_eq!(page.next("").unwrap(), None);
    page.prove(&ListRequest::default()).unwrap();
}

#[test]
fn two_pages_of_one_listing_follow_each_other() {
    let first = page(sample!("list-truncated"));
    let mut request = ListRequest {
        prefix: "img/".to_owned(),
        marker: "img/0000.jpg".to_owned(),
        ..ListRequest::default()
    };
    first.prove(&request).unwrap();
    request.marker = first.next(&request.marker).unwrap().unwrap();
    let last = page(sample!("list-last-page"));
    last.prove(&request).unwrap();
    assert_eq!(last.next(&request.marker).unwrap(), None);
    assert_eq!(keys(&last), ["img/0004.jpg"]);
}

#[test]
fn encoded_names_are_decoded_and_a_plus_stays() {
    let page = page(sample!("list-url-encoded"));
    assert_eq!(
        keys(&page),
        [
            "photos/\u{1}ctl\there.jpg",
            "photos/100%25 real.jpg",
            "photos/a b.jpg",
            "photos/a%41b.jpg",
            "photos/a+b.jpg",
            "photos/quote'(1)!*.jpg",
            "photos/~tilde_.-.jpg",
            "photos/照片/2020年/合影.jpg",
            "photos/🐱.png",
        ]
    );
    assert_eq!(page.marker.as_deref(), Some("old dir/start here+.jpg"));
    assert_eq!(page.next_marker.as_deref(), Some("photos/🐱.png"));
}

#[test]
fn the_encoding_type_of_the_page_decides_wherever_it_stands() {
    let entry = "<Contents><Key>a%41+</Key><Size>1</Size></Contents>";
    let flag = "<IsTruncated>false</IsTruncated>";
    let url = "<EncodingType>url</EncodingType>";
    let plain = page(&format!("<ListBucketResult>{entry}{flag}</ListBucketResult>"));
    assert_eq!(keys(&plain), ["a%41+"]);
    for body in [format!("{url}{entry}{flag}"), format!("{entry}{flag}{url}")] {
        let encoded = page(&format!("<ListBucketResult>{body}</ListBucketResult>"));
        assert_eq!(keys(&encoded), ["aA+"], "{body}");
    }
}

#[test]
fn an_empty_listing_is_valid() {
    let empty = page(sample!("list-empty"));
    assert!(empty.entries.is_empty() && !empty.is_truncated);
    empty.prove(&ListRequest::default()).unwrap();
    let prefix = page(sample!("list-empty-prefix"));
    assert_eq!(prefix.prefix.as_deref(), Some("no-such-dir/"));
}

#[test]
fn common_prefixes_are_read_and_can_be_the_next_marker() {
    let mixed = page(sample!("list-common-prefixes"));
    assert_eq!(mixed.common_prefixes, ["2024/", "2025/", "相册/"]);
    assert_eq!(keys(&mixed), ["cover.jpg", "z-last.webp"]);
    let mut only = page(sample!("list-only-common-prefixes-truncated"));
    assert_eq!(only.next("").unwrap().as_deref(), Some("2025/"));
    only.next_marker = None;
    assert_eq!(only.next("").unwrap().as_deref(), Some("2025/"));
}

#[test]
fn every_storage_class_is_read() {
    let page = page(sample!("list-storage-classes"));
    let classes: Vec<_> =
        page.entries.iter().map(|entry| entry.storage_class.as_ref().unwrap().name()).collect();
    assert_eq!(
        classes,
        [
            "STANDARD",
            "STANDARD_IA",
            "INTELLIGENT_TIERING",
            "ARCHIVE",
            "ARCHIVE",
            "DEEP_ARCHIVE",
            "MAZ_STANDARD",
            "MAZ_ARCHIVE",
            "SOME_FUTURE_CLASS",
        ]
    );
    assert_eq!(page.entries[3].restored, None);
    assert_eq!(page.entries[4].restored, Some(Restore::Ongoing));
}

#[test]
fn a_body_that_is_not_a_whole_page_is_unusable() {
    let whole = sample!("list-normal").trim_end();
    for cut in [0, 1, whole.len() / 2, whole.len() - 1, whole.len() - 20] {
        unusable(&whole[..cut]);
    }
    assert!(unusable(sample!("list-versions")).contains("ListVersionsResult"));
    assert!(unusable(sample!("error-502-html-gateway")).contains("html"));
    let page = |inner: &str| format!("<ListBucketResult>{inner}</ListBucketResult>");
    let flag = "<IsTruncated>false</IsTruncated>";
    for (body, word) in [
        (page(""), "IsTruncated"),
        (page("<IsTruncated>maybe</IsTruncated>"), "IsTruncated"),
        (page(&flag.repeat(2)), "twice"),
        (page(&format!("{flag}<Contents><Size>1</Size></Contents>")), "without a key"),
        (page(&format!("{flag}<Contents><Key>a</Key><Key>b</Key></Contents>")), "two keys"),
        (page(&format!("{flag}<Contents><Key>a<b/></Key></Contents>")), "inside"),
        (page(&format!("{flag}<EncodingType>gzip</EncodingType>")), "EncodingType"),
        (page(&format!("{flag}<Name>&bomb;</Name>")), "entity"),
        (page(&format!("{flag}<X>{}", "<a>".repeat(40))), "deep"),
        (page(flag) + "<ListBucketResult/>", "follows"),
    ] {
        let reason = unusable(&body);
        assert!(reason.contains(word), "{body}: {reason}");
    }
    assert!(unusable(vec![b' '; BODY_MAX + 1]).contains("16 MiB"));
}

#[test]
fn an_error_document_with_status_200_is_an_error_of_the_service() {
    let error = parse(sample!("error-404-no-such-bucket").as_bytes()).unwrap_err();
    assert_eq!((error.code(), error.status()), (Some("NoSuchBucket"), Some(200)));
}

#[test]
fn unusable_entries_are_rejected_and_the_others_kept() {
    let body = "<x:ListBucketResult xmlns:x='u'><EncodingType>url</EncodingType>\
        <Owner><Key>z</Key><IsTruncated>true</IsTruncated></Owner>\
        <Contents><Key>%ff</Key><Size>1</Size></Contents>\
        <Contents><Key>a%zz</Key><Size>1</Size></Contents>\
        <Contents><Key/><Size>1</Size></Contents>\
        <Contents><Key>neg</Key><Size>-1</Size></Contents>\
        <Contents><Key>none</Key></Contents>\
        <Contents><Key>huge</Key><Size>9223372036854775808</Size></Contents>\
        <Contents><Key> ok </Key><Size>9223372036854775807</Size><New><Key>x</Key></New></Contents>\
        <IsTruncated>false</IsTruncated></x:ListBucketResult>";
    let page = page(body);
    assert_eq!(keys(&page), [" ok "]);
    assert_eq!(page.entries[0].size, Some(i64::MAX.cast_unsigned()));
    let rejected: Vec<_> =
        page.rejected.iter().map(|r| (r.key.as_deref(), r.shown.as_str())).collect();
    assert_eq!(
        rejected,
        [
            (None, "%ff"),
            (None, "a%zz"),
            (None, ""),
            (Some("neg"), "neg"),
            (Some("none"), "none"),
            (Some("huge"), "huge"),
        ]
    );
}

#[test]
fn bytes_that_are_not_utf8_reject_only_their_entry() {
    let mut body = b"<ListBucketResult><Contents><Key>a".to_vec();
    body.push(0xff);
    body.extend_from_slice(
        b"</Key><Size>1</Size></Contents><Contents><Key>b</Key><Size>1</Size></Contents>\
          <IsTruncated>true</IsTruncated></ListBucketResult>",
    );
    let page = parse(&body).unwrap();
    assert_eq!(keys(&page), ["b"]);
    assert_eq!(page.rejected[0].reason, "the key is not UTF-8");
}

#[test]
fn a_listing_that_does_not_advance_is_stuck() {
    let mut page = page(sample!("list-truncated"));
    for marker in ["img/0003.jpg", "img/0004.jpg"] {
        let stuck = page.next(marker).unwrap_err();
        assert_eq!(stuck.next.as_deref(), Some("img/0003.jpg"));
    }
    page.next_marker = Some(String::new());
    assert_eq!(page.next("").unwrap().as_deref(), Some("img/0003.jpg"));
    page.entries.clear();
    assert_eq!(page.next("").unwrap_err().next, None);
}

#[test]
fn a_page_that_answers_something_else_is_unproven() {
    let good = page(sample!("list-truncated"));
    let request = |prefix: &str, marker: &str| ListRequest {
        prefix: prefix.to_owned(),
        marker: marker.to_owned(),
        ..ListRequest::default()
    };
    let asked = request("img/", "img/0000.jpg");
    assert!(matches!(good.prove(&request("im", "img/0000.jpg")), Err(Unproven::Prefix { .. })));
    assert!(matches!(good.prove(&request("img/", "img/0001")), Err(Unproven::Marker { .. })));
    let mut bad = good.clone();
    bad.entries.swap(0, 1);
    assert!(matches!(bad.prove(&asked), Err(Unproven::Order { .. })));
    let mut bad = good.clone();
    bad.entries[1].key = bad.entries[0].key.clone();
    assert!(matches!(bad.prove(&asked), Err(Unproven::Order { .. })));
    let mut bad = good.clone();
    bad.entries[0].key = "img/0000.jpg".to_owned();
    assert!(matches!(bad.prove(&asked), Err(Unproven::Order { .. })));
    let mut bad = good.clone();
    bad.entries[2].key = "other/".to_owned();
    assert!(matches!(bad.prove(&asked), Err(Unproven::Outside { .. })));
    let fewer = u16::try_from(good.entries.len() - 1).unwrap();
    let fewer = ListRequest { max_keys: fewer, ..asked.clone() };
    assert!(matches!(good.prove(&fewer), Err(Unproven::TooMany { .. })));
    let mut bad = good;
    bad.marker = None;
    assert!(matches!(bad.prove(&asked), Err(Unproven::Marker { .. })));
}

#[test]
fn an_etag_of_more_than_four_kibibytes_counts_as_none() {
    for (length, kept) in [(4096, Some(4096)), (4097, None)] {
        let etag = "e".repeat(length);
        for quoted in [format!("\"{etag}\""), format!("&quot;{etag}&quot;"), etag] {
            let body = format!(
                "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><ETag>{quoted}</ETag>\
                 <Size>1</Size></Contents></ListBucketResult>"
            );
            let entry = &page(&body).entries[0];
            assert_eq!(entry.etag.as_ref().map(|etag| etag.to_string().len()), kept);
        }
    }
}

fn render(keys: &[String]) -> String {
    let mut xml = "<ListBucketResult><EncodingType>url</EncodingType><Prefix/><Marker/>".to_owned();
    for (size, key) in keys.iter().enumerate() {
        let key = encode(key);
        write!(xml, "<Contents><Key>{key}</Key><Size>{size}</Size></Contents>").unwrap();
    }
    xml + "<IsTruncated>false</IsTruncated></ListBucketResult>"
}

proptest! {
    #![proptest_config(crate::property::config())]

    #[test]
    fn any_key_is_read_from_a_page_unchanged(
        raw in proptest::collection::vec(proptest::collection::vec(any::<char>(), 1..12), 0..6),
    ) {
        let sent: Vec<String> = raw.into_iter().map(|key| key.into_iter().collect()).collect();
        let page = page(&render(&sent));
        prop_assert_eq!(keys(&page), sent);
        prop_assert!(page.rejected.is_empty());
    }

    #[test]
    fn reading_never_panics(body: Vec<u8>, cut: prop::sample::Index, flip: u8) {
        let _ = parse(&body);
        let mut near = sample!("list-url-encoded").as_bytes().to_vec();
        let at = cut.index(near.len());
        near[at] = flip;
        let _ = parse(&near);
        let _ = parse(&near[..at]);
    }
}
