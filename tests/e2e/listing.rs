//! Listings that lie, break off or never end: nothing is concluded from them, and they are not followed for ever.

use costag::emulator::Synthetic;
use rstest::rstest;

use crate::support::Site;

fn two_pages() -> Site {
    let bucket = Synthetic { objects: 1100, duplicates: 1.0, ..Synthetic::default() };
    Site::new(bucket, costag::emulator::Settings::default())
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
#[case::slow("list_slow")]
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

#[rstest]
#[case::internal_error("list_internal_error")]
#[case::garbage("list_garbage")]
#[case::empty_200("list_empty_200")]
#[case::slow_down("list_slow_down")]
#[case::reset("list_reset")]
#[case::truncated("list_truncated")]
fn a_listing_that_fails_once_is_asked_for_again(#[case] fault: &str) {
    let site = two_pages();
    site.change(&format!(r#"{{"faults":{{"{fault}":1.0}},"fault_attempts":1}}"#));
    site.run(&[]).with(0);
    assert_eq!(site.emulator.statistics().list_calls, 4, "each of two pages twice");
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), 1100);
    site.assert_exports("camera");
}

#[test]
fn a_listing_that_never_ends_is_not_followed_for_ever() {
    let site = Site::plain(5);
    site.change(r#"{"faults":{"list_never_ends":1.0}}"#);
    let ended = site.run(&["--patience", "1s", "--list-qps", "0"]);
    assert!(matches!(ended.code, Some(2 | 5)), "{ended:?}");
    assert!(site.emulator.statistics().list_calls < 2000);
}

#[test]
fn a_limit_on_listings_is_borne() {
    let site = two_pages();
    site.change(r#"{"list_qps_limit":1}"#);
    site.run(&["--list-qps", "0"]).with(0);
    assert!(site.emulator.statistics().throttled > 0);
    site.assert_exports("camera");
}
