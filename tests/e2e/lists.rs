//! Keys and URLs from a list instead of a listing.

use std::io::Write as _;
use std::process::Stdio;

use rstest::rstest;

use crate::support::{BUCKET, Ended, Site};

fn piped(site: &Site, arguments: &[&str], input: &str) -> Ended {
    let mut command = site.command(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

const OBJECTS: [(&str, &str); 6] = [
    ("a.jpg", "one"),
    ("b %41+?.jpg", "two"),
    ("//c/../\u{1F431}.png", "three"),
    ("copy.jpg", "one"),
    ("line\nbreak.jpg", "four"),
    ("not listed.jpg", "five"),
];

#[test]
fn keys_a_line_each_with_what_windows_and_people_leave_in_them() {
    let site = Site::holding(&OBJECTS);
    let list = "a.jpg\r\n\nb %41+?.jpg\n//c/../\u{1F431}.png\na.jpg\ncopy.jpg\nmissing.jpg";
    let list = site.write("keys.txt", list);
    site.run(&["--keys", &list]).with(0);
    let statistics = site.emulator.statistics();
    assert_eq!(statistics.head_calls, 5, "a key that stands twice is looked up once");
    assert_eq!((statistics.list_calls, statistics.bad_signatures), (0, 0));
    assert_eq!(statistics.calls, 3, "the copy costs nothing");
    let named = |row: &Vec<String>| !row[0].contains("break") && !row[0].contains("not listed");
    let expected: Vec<_> = site.expected("camera").into_iter().filter(named).collect();
    assert_eq!(site.export(&[]), expected);
    assert_eq!(
        site.one::<String>("SELECT key FROM object WHERE gone_run IS NOT NULL"),
        "missing.jpg"
    );

    // What the database knows is not looked up again.
    site.run(&["--keys", &list]).with(0);
    let again = site.emulator.statistics();
    assert_eq!((again.calls, again.head_calls), (3, 6), "only the missing one is asked for");
}

#[rstest]
#[case::from_a_file(false)]
#[case::from_standard_input(true)]
fn nul_separated_keys(#[case] stdin: bool) {
    let site = Site::holding(&OBJECTS);
    let list = "line\nbreak.jpg\0a.jpg\0";
    if stdin {
        piped(&site, &["run", BUCKET, "--keys", "-", "-0"], list).with(0);
    } else {
        let list = site.write("keys", list);
        site.run(&["--keys", &list, "-0"]).with(0);
    }
    let called: Vec<_> = site.called().into_keys().collect();
    assert_eq!(called, ["a.jpg", "line\nbreak.jpg"]);
    assert_eq!(site.one::<i64>("SELECT count(DISTINCT key) FROM labels"), 2);
}

#[test]
fn a_list_concludes_nothing_about_what_it_does_not_name() {
    let site = Site::holding(&OBJECTS);
    site.run(&[]).with(0);
    let calls = site.calls();
    site.delete(&["a.jpg"]);
    let list = site.write("keys.txt", "b %41+?.jpg\n");
    site.run(&["--keys", &list]).with(0);
    assert_eq!(site.calls(), calls);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object WHERE gone_run IS NOT NULL"), 0);
}

#[test]
fn a_list_from_standard_input_survives_a_kill() {
    let site = Site::plain(60);
    let keys: Vec<String> = {
        let mut keys: Vec<_> =
            site.expected("camera").into_iter().map(|row| row[0].clone()).collect();
        keys.dedup();
        keys
    };
    piped(&site, &["run", BUCKET, "--keys", "-", "--max-calls", "20"], &keys.join("\n")).with(8);
    site.resume().with(0);
    assert_eq!(site.calls(), 60);
    site.assert_exports("camera");
}

#[rstest]
#[case::lines("https://e.com/1.jpg\r\nhttps://e.com/2.jpg?a=%2B&b\n\nhttps://e.com/1.jpg\n")]
#[case::csv(
    "id,url\n1,https://e.com/1.jpg\n2,\"https://e.com/2.jpg?a=%2B&b\"\n3,https://e.com/1.jpg\n"
)]
fn urls_are_called_through_the_bucket_once_each(#[case] list: &str) {
    let site = Site::holding(&[]);
    let list = site.write("urls", list);
    site.run(&["--urls", &list, "--scenes", "web,camera"]).with(0);
    let urls = ["https://e.com/1.jpg", "https://e.com/2.jpg?a=%2B&b"];
    let called: Vec<_> = site.called().into_iter().collect();
    assert_eq!(called, urls.map(|url| (url.to_owned(), 1)));
    let statistics = site.emulator.statistics();
    assert_eq!(
        (statistics.head_calls, statistics.list_calls, statistics.bad_signatures),
        (0, 0, 0)
    );
    let rows = site.export(&[]);
    assert!(rows.len() > 4);
    assert!(rows.iter().all(|row| urls.contains(&row[0].as_str()) && row[7..10] == ["", "", ""]));
    assert!(urls.iter().all(|url| rows.iter().any(|row| row[0] == *url)));
    site.run(&["--urls", &list, "--scenes", "web,camera"]).with(0);
    assert_eq!(site.calls(), 2);
}

#[test]
fn a_url_that_cannot_be_fetched() {
    let site = Site::holding(&[]);
    let list = site.write("urls", "https://e.com/missing.jpg\nhttps://e.com/ok.jpg\n");
    site.run(&["--urls", &list]).with(3).says(&["ResourceDownloadFailed"]);
    assert_eq!(site.one::<String>("SELECT key FROM failure"), "https://e.com/missing.jpg");
    assert_eq!(site.called()["https://e.com/ok.jpg"], 1);
}

#[test]
fn a_key_that_is_not_there_is_not_wanted_on_any_night() {
    let site = Site::holding(&[("a.jpg", "1")]);
    let list = site.write("keys.txt", "a.jpg\nnowhere.jpg\n");
    for gone in [1, 0, 0] {
        let ended = site.run(&["--keys", &list]).with(0);
        ended.says(&["listed    2 objects: 1 wanted, 0 skipped", &format!(" {gone} gone")]);
    }
    assert_eq!(site.calls(), 1);
    site.assert_sound();
}
