use super::*;
use crate::emulator::catalogue::Catalogue;
use crate::emulator::object::Object;
use crate::emulator::synthetic::Synthetic;

fn bucket() -> Catalogue {
    let odd = Synthetic { objects: 700, awkward: 0.4, folders: 0.1, ..Synthetic::default() };
    Catalogue::synthetic(odd)
}

fn few() -> Catalogue {
    let catalogue = Catalogue::synthetic(Synthetic { objects: 0, ..Synthetic::default() });
    let keys = [
        "2024/a.jpg",
        "2024/b.jpg",
        "2025/c.jpg",
        "cover.jpg",
        "img/1.jpg",
        "img/2.jpg",
        "相册/x.jpg",
    ];
    let put = keys.map(|key| Object::put(key.into(), key, None, 1_773_476_130, None)).to_vec();
    assert!(catalogue.change(put, vec![]));
    catalogue
}

/// Every key and common prefix over all pages, as one list in the order met.
fn walk_pages(catalogue: &Catalogue, mut query: Query) -> (Vec<Vec<u8>>, usize) {
    let (mut met, mut pages) = (Vec::new(), 0);
    loop {
        let page = list(&catalogue.view(), &query);
        pages += 1;
        assert!(page.contents.len() + page.common_prefixes.len() <= query.max_keys);
        let mut names: Vec<Vec<u8>> =
            page.contents.iter().map(|object| object.key.clone()).collect();
        names.extend(page.common_prefixes);
        names.sort();
        if let Some(next) = &page.next_marker {
            assert_eq!(names.last(), Some(next));
        }
        met.extend(names);
        match page.next_marker {
            Some(next) => query.marker = next,
            None => return (met, pages),
        }
    }
}

#[test]
fn pages_of_any_size_have_every_key_once_in_ascending_order() {
    let catalogue = bucket();
    let all: Vec<Vec<u8>> = catalogue.view().walk(b"", false).map(|object| object.key).collect();
    assert_eq!(all.len(), 700);
    for max_keys in [1, 7, 100, 699, 700, 701, 1000] {
        let (met, pages) = walk_pages(&catalogue, Query { max_keys, ..Query::default() });
        assert_eq!(met, all);
        assert_eq!(pages, all.len().div_ceil(max_keys));
    }
}

#[test]
fn a_prefix_lists_exactly_the_keys_that_start_with_it() {
    let catalogue = bucket();
    for prefix in ["photos/", "photos/2024/0", "相册/", "/", "nothing", "uploads/2025"] {
        let all: Vec<Vec<u8>> = catalogue
            .view()
            .walk(b"", false)
            .map(|object| object.key)
            .filter(|key| key.starts_with(prefix.as_bytes()))
            .collect();
        let query = Query { prefix: prefix.into(), max_keys: 13, ..Query::default() };
        assert_eq!(walk_pages(&catalogue, query).0, all, "{prefix}");
    }
}

#[test]
fn a_delimiter_folds_keys_and_a_page_counts_keys_and_common_prefixes() {
    let wanted: Vec<Vec<u8>> =
        ["2024/", "2025/", "cover.jpg", "img/", "相册/"].map(Into::into).to_vec();
    for max_keys in [1, 2, 3, 1000] {
        let query = Query { delimiter: b"/".to_vec(), max_keys, ..Query::default() };
        assert_eq!(walk_pages(&few(), query).0, wanted);
    }
    let inside = Query {
        prefix: b"img/".to_vec(),
        delimiter: b"/".to_vec(),
        max_keys: 1,
        ..Query::default()
    };
    assert_eq!(walk_pages(&few(), inside).0, [b"img/1.jpg".to_vec(), b"img/2.jpg".to_vec()]);
}

#[test]
fn a_page_has_the_documented_form() {
    let query = Query { prefix: b"img/".to_vec(), max_keys: 1, ..Query::default() };
    let page = list(&few().view(), &query);
    let text = render(&page, &query, "demo-1250000000");
    let etag = &page.contents[0].etag;
    let wanted = format!(
        "<?xml version='1.0' encoding='utf-8' ?>\n<ListBucketResult>\n\t<Name>demo-1250000000</Name>\n\
         \t<Prefix>img/</Prefix>\n\t<Marker/>\n\t<MaxKeys>1</MaxKeys>\n\t<IsTruncated>true</IsTruncated>\n\
         \t<NextMarker>img/1.jpg</NextMarker>\n\t<Contents>\n\t\t<Key>img/1.jpg</Key>\n\
         \t\t<LastModified>2026-03-14T08:15:30.000Z</LastModified>\n\t\t<ETag>&quot;{etag}&quot;</ETag>\n\
         \t\t<Size>9</Size>\n\t\t<Owner>\n\t\t\t<ID>1250000000</ID>\n\
         \t\t\t<DisplayName>1250000000</DisplayName>\n\t\t</Owner>\n\
         \t\t<StorageClass>STANDARD</StorageClass>\n\t</Contents>\n</ListBucketResult>\n"
    );
    assert_eq!(text, wanted);
    let query = Query { prefix: "相".into(), url_encoded: true, max_keys: 5, ..Query::default() };
    let text = render(&list(&few().view(), &query), &query, "demo-1250000000");
    assert!(text.contains("<EncodingType>url</EncodingType>"));
    assert!(
        text.contains("<Key>%E7%9B%B8%E5%86%8C/x.jpg</Key>")
            && text.contains("<Prefix>%E7%9B%B8</Prefix>")
    );
}

#[test]
fn a_listing_with_a_wrong_parameter_is_refused() {
    let parse = |text: &str| Query::parse(&percent::parse_query(text));
    assert_eq!(parse("max-keys=1000&prefix=a%20b").unwrap().prefix, b"a b");
    assert_eq!(parse("").unwrap().max_keys, 1000);
    assert!(parse("max-keys=1001").is_err());
    assert!(parse("max-keys=-1").is_err());
    assert!(parse("encoding-type=base64").is_err());
    let none = list(&few().view(), &parse("max-keys=0").unwrap());
    assert!(none.contents.is_empty() && none.next_marker.is_none());
}
