//! Pages of a listing that are wrong, incomplete or unreadable.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;

use crate::support::{BUCKET, Site, answering, http, last_page, run_at, start};

/// A page that is not the last one: after this marker, with these entries (key and size) and this `NextMarker`.
fn truncated(marker: &str, entries: &[(&str, &str)], next: &str) -> Vec<u8> {
    let entry = |(key, size): &(&str, &str)| {
        format!("<Contents><Key>{key}</Key><ETag>\"{key}\"</ETag><Size>{size}</Size></Contents>")
    };
    let entries = entries.iter().map(entry).collect::<Vec<_>>().concat();
    let body = format!(
        "<ListBucketResult><EncodingType>url</EncodingType><Prefix/><Marker>{marker}</Marker>\
         {entries}<IsTruncated>true</IsTruncated><NextMarker>{next}</NextMarker></ListBucketResult>"
    );
    http("200 OK", &body)
}

/// Two nights: the first one lists these keys, the second one gets a different first page.
#[track_caller]
fn second_night(keys: &'static [&'static str], first: Vec<u8>) -> (String, Vec<String>) {
    let night = Arc::new(AtomicUsize::new(1));
    let now = Arc::clone(&night);
    let address = answering(move |head| {
        if head.contains("detect-label") {
            return http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>");
        }
        let marker = head.split("marker=").nth(1).and_then(|rest| rest.split(['&', ' ']).next());
        let marker = marker.unwrap_or_default();
        if now.load(Ordering::SeqCst) == 2 && marker.is_empty() {
            return first.clone();
        }
        let rest: Vec<&str> = keys.iter().copied().filter(|key| *key > marker).collect();
        let page = String::from_utf8(last_page(&rest)).unwrap();
        let body = page.split_once("\r\n\r\n").unwrap().1;
        http("200 OK", &body.replace("<Marker/>", &format!("<Marker>{marker}</Marker>")))
    });
    let site = Site::plain(0);
    let run = || {
        let mut command = site.command(&["run", BUCKET]);
        command.env("COSTAG_ENDPOINT", format!("http://{address}"));
        start(command).end().with(0)
    };
    run();
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), i64::try_from(keys.len()).unwrap());
    night.store(2, Ordering::SeqCst);
    let told = run().stderr;
    let database = site.database();
    let mut gone = database.prepare("SELECT key FROM object WHERE gone_run IS NOT NULL").unwrap();
    let gone = gone.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    site.assert_sound();
    (told, gone)
}

const LETTERS: &[&str] = &["a.jpg", "b.jpg", "c.jpg", "m.jpg", "n.jpg"];

#[test]
fn the_next_page_starts_after_the_last_key_whatever_next_marker_says() {
    let first = truncated("", &[("a.jpg", "9"), ("c.jpg", "9")], "zzz");
    let (told, gone) = second_night(LETTERS, first);
    assert_eq!(gone, ["b.jpg"], "{told}");
    assert!(told.contains("listed    4 objects"), "{told}");
}

#[test]
fn a_last_key_that_cannot_be_called_still_ends_the_page() {
    let first = truncated("", &[("a.jpg", "9"), ("b.jpg", "9"), ("c.jpg", "-1")], "zzz");
    let (told, gone) = second_night(LETTERS, first);
    assert!(gone.is_empty(), "{gone:?} {told}");
    assert!(told.contains("listed    5 objects: 4 wanted"), "{told}");
}

#[test]
fn a_page_that_ends_with_an_unreadable_key_proves_nothing_after_the_last_readable_key() {
    let first = truncated("", &[("a.jpg", "9"), ("c%FF", "9")], "m.jpg");
    let (told, gone) = second_night(LETTERS, first);
    // Only the page says where the next one starts, and b.jpg may lie before the key that cannot be read.
    assert!(gone.is_empty(), "{gone:?} {told}");
    assert!(told.contains("listed    3 objects: 2 wanted"), "{told}");
}

#[test]
fn a_page_without_keys_does_not_prove_that_objects_are_gone() {
    let (told, gone) = second_night(LETTERS, truncated("", &[], "m.jpg"));
    assert!(gone.is_empty(), "{gone:?} {told}");
    assert!(told.contains("listed    1 object:"), "{told}");
}

#[test]
fn a_listing_that_fails_for_a_while_continues() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) < 4 {
            http("503 Busy", "<Error><Code>ServiceUnavailable</Code></Error>")
        } else {
            last_page(&[])
        }
    });
    run_at(&format!("http://{address}"), &[]).with(0);
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

/// A page of a thousand and one entries answers the first requests of a listing, as many as `wrong` says.
#[rstest]
#[case::once(1, 0, 2)]
#[case::always(usize::MAX, 5, 4)]
fn a_page_that_is_no_answer_is_asked_for_again_a_few_times(
    #[case] wrong: usize,
    #[case] code: i32,
    #[case] asked: usize,
) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let address = answering(move |head| {
        if head.contains("detect-label") {
            return http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>");
        }
        if count.fetch_add(1, Ordering::SeqCst) < wrong {
            let keys: Vec<String> = (0..1001).map(|number| format!("{number:04}.jpg")).collect();
            return last_page(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
        last_page(&["a.jpg"])
    });
    run_at(&format!("http://{address}"), &["--list-workers", "1"]).with(code);
    assert_eq!(requests.load(Ordering::SeqCst), asked);
}
