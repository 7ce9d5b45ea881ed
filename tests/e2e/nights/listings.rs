//! Listings that are wrong, cut off or endless: nothing is concluded from them, and the run does not follow them
//! for ever.

use costag::emulator::{Layout, Settings, Synthetic};
use rstest::rstest;

use crate::support::Site;

fn two_pages() -> Site {
    let bucket = Synthetic { objects: 1100, duplicates: 1.0, ..Synthetic::default() };
    Site::new(bucket, Settings::default())
}

#[rstest]
#[case::stuck("list_stuck")]
#[case::out_of_order("list_out_of_order")]
#[case::wrong_prefix("list_wrong_prefix")]
#[case::wrong_marker("list_wrong_marker")]
#[case::garbage("list_garbage")]
#[case::empty_200("list_empty_200")]
#[case::internal_error("list_internal_error")]
#[case::bad_gateway("list_bad_gateway")]
#[case::slow_down("list_slow_down")]
#[case::reset("list_reset")]
#[case::stall("list_stall")]
#[case::truncated("list_truncated")]
#[case::huge_page("list_huge_page")]
fn a_listing_that_stays_wrong_ends_the_run_and_concludes_nothing(#[case] fault: &str) {
    let site = two_pages();
    site.run(&[]).with(0);
    let (calls, tables) = (site.calls(), site.tables(&["run", "range"]));
    let lists = site.emulator.statistics().list_calls;
    site.change(&format!(r#"{{"faults":{{"{fault}":1.0}}}}"#));
    site.run(&["--patience", "1s", "--timeout", "900ms"]).with(5);
    assert_eq!(site.calls(), calls);
    assert_eq!(site.tables(&["run", "range"]), tables, "nothing is gone, nothing is new");
    let asked = site.emulator.statistics().list_calls - lists;
    assert!((1..12).contains(&asked), "{asked} pages asked for");
    site.change(r#"{"clear":true}"#);
    site.resume().with(0);
    assert_eq!(site.tables(&["run", "range"]), tables);
}

#[test]
fn a_slow_answer_is_read_until_ten_times_the_timeout() {
    let site = Site::plain(20);
    // A page arrives in twenty parts over five seconds.
    site.change(r#"{"faults":{"list_slow":1.0}}"#);
    let ended = site.run(&["--patience", "1s", "--timeout", "400ms", "--log", "warn"]).with(5);
    ended.says(&["was not complete after 4s"]);
    site.run(&["--timeout", "1s"]).with(0);
    site.assert_exports("camera");
}

#[rstest]
#[case::internal_error("list_internal_error")]
#[case::garbage("list_garbage")]
#[case::empty_200("list_empty_200")]
#[case::slow_down("list_slow_down")]
#[case::reset("list_reset")]
#[case::truncated("list_truncated")]
fn a_page_that_fails_once_is_requested_again(#[case] fault: &str) {
    let site = two_pages();
    site.change(&format!(r#"{{"faults":{{"{fault}":1.0}},"fault_attempts":1}}"#));
    site.run(&[]).with(0);
    assert_eq!(site.emulator.statistics().list_calls, 4, "each of two pages twice");
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), 1100);
    site.assert_exports("camera");
}

#[test]
fn an_endless_listing_is_not_followed_for_ever() {
    let site = Site::plain(5);
    site.change(r#"{"faults":{"list_never_ends":1.0}}"#);
    let ended = site.run(&["--patience", "1s", "--list-qps", "0"]);
    assert!(matches!(ended.code, Some(2 | 5)), "{ended:?}");
    assert!(site.emulator.statistics().list_calls < 2000);
}

#[test]
fn a_limit_on_list_requests_is_respected() {
    let site = two_pages();
    site.change(r#"{"list_qps_limit":1}"#);
    site.run(&["--list-qps", "0"]).with(0);
    assert!(site.emulator.statistics().throttled > 0);
    site.assert_exports("camera");
}

/// Parallel listers find each key once, whatever the layout of the keys, and the next night finds nothing new.
#[rstest]
#[case::a_folder_a_day(Layout::Dated)]
#[case::one_deep_folder(Layout::Deep)]
#[case::a_folder_for_each_key(Layout::Spread)]
#[case::five_hundred_bytes_shared(Layout::Long)]
#[case::hashes(Layout::Hashed)]
fn every_key_is_listed_once_in_any_layout(#[case] layout: Layout) {
    const OBJECTS: u64 = 24_000;
    let bucket = Synthetic { objects: OBJECTS, layout, ..Synthetic::default() };
    // Pages are slow, so that idle listers have time to split a range.
    let site = Site::new(bucket, Settings { list_latency_ms: 60, ..Settings::default() });
    let night = || {
        let before = site.emulator.statistics().list_calls;
        site.run(&["--exclude", "**", "--list-workers", "8", "--list-qps", "0"]).with(0);
        site.assert_sound();
        site.emulator.statistics().list_calls - before
    };
    let asked = night();
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), OBJECTS.cast_signed());
    let ranges = "SELECT count(*) FROM range WHERE run_id = (SELECT max(id) FROM run)";
    let splits = site.one::<i64>(ranges).cast_unsigned() - 1;
    assert!(splits > 0, "{layout:?}: nobody else could help");
    // Allowed requests: the pages, one more for each range that ends within a page, and the requests that look for
    // a split.
    let bound = OBJECTS / 1000 + (splits + 8) * 41;
    assert!(asked <= bound, "{layout:?}: {asked} questions, {splits} splits");

    site.change(r#"{"list_latency_ms":0}"#);
    let again = night();
    assert!(site.one::<i64>(ranges) > 1, "the table tells where to split");
    assert!(again <= OBJECTS / 1000 + 8 * 40, "{layout:?}: {again}");
    let changes = "SELECT count(*) FROM change";
    assert_eq!(site.one::<i64>(changes), 0);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), OBJECTS.cast_signed());
}

/// Calls start after the first page, whether the bucket has a thousand keys or a million.
#[test]
fn the_first_call_does_not_wait_for_the_listing() {
    let bucket = Synthetic { objects: 1_000_000, ..Synthetic::default() };
    let site = Site::new(bucket, Settings { list_latency_ms: 50, ..Settings::default() });
    site.run(&["--limit", "5", "--list-workers", "4"]).with(0);
    let statistics = site.emulator.statistics();
    assert_eq!(statistics.calls, 5);
    assert!(statistics.list_calls < 200, "{}", statistics.list_calls);
}
