//! Runs over a list of keys or URLs instead of a listing.

use std::io::Write as _;
use std::process::Stdio;

use costag::emulator::{SECRET_ID, SECRET_KEY};
use rstest::rstest;

use crate::support::{BUCKET, Ended, Site, wait_until};

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
fn keys_are_read_one_a_line_with_windows_line_ends_and_blank_lines() {
    let site = Site::holding(&OBJECTS);
    let list = "a.jpg\r\n\nb %41+?.jpg\n//c/../\u{1F431}.png\na.jpg\ncopy.jpg\nmissing.jpg";
    let list = site.write("keys.txt", list);
    site.run(&["--keys", &list]).with(3).says(&["NoSuchKey", "1 more repeats one of them"]);
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

    // A key whose labels are in the database is not looked up again.
    site.run(&["--keys", &list]).with(3);
    let again = site.emulator.statistics();
    assert_eq!((again.calls, again.head_calls), (3, 6), "only the missing one is asked for");
}

#[rstest]
#[case::from_a_file(false)]
#[case::from_standard_input(true)]
fn keys_can_be_separated_by_nul(#[case] stdin: bool) {
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
fn a_list_marks_no_other_object_as_gone() {
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
fn a_url_that_cannot_be_fetched_is_a_failure() {
    let site = Site::holding(&[]);
    let list = site.write("urls", "https://e.com/missing.jpg\nhttps://e.com/ok.jpg\n");
    site.run(&["--urls", &list]).with(3).says(&["ResourceDownloadFailed"]);
    assert_eq!(site.one::<String>("SELECT key FROM failure"), "https://e.com/missing.jpg");
    assert_eq!(site.called()["https://e.com/ok.jpg"], 1);
}

#[test]
fn a_missing_key_is_reported_every_night_until_it_is_found() {
    let site = Site::holding(&[("a.jpg", "1")]);
    let list = site.write("keys.txt", "a.jpg\nnowhere.jpg\n");
    for is_first_night in [true, false, false] {
        let ended = site.run(&["--keys", &list]).with(3);
        let ended =
            ended.says(&["listed    2 objects: 1 wanted, 1 missing", "0 skipped, 1 missing"]);
        let changes = ended.stderr.contains("1 added, 1 gone or missing");
        assert_eq!(changes, is_first_night, "{}", ended.stderr);
    }
    assert_eq!(site.calls(), 1);
    site.assert_sound();
    // A missing key is reported as a failure until it is found.
    let failures = || site.costag(&["status", "--failures"]).with(0).stdout;
    assert!(failures().contains("nowhere.jpg") && failures().contains("NoSuchKey"));
    site.put(&[("nowhere.jpg", "2")]);
    site.run(&["--keys", &list]).with(0);
    assert_eq!(failures(), "nothing failed\n");
}

#[test]
fn allow_missing_ends_a_run_with_missing_keys_with_exit_code_0() {
    let site = Site::holding(&[("a.jpg", "1")]);
    let list = site.write("keys.txt", "a.jpg\nnowhere.jpg\n");
    site.run(&["--keys", &list, "--allow-missing"]).with(0).says(&["1 done", "1 missing"]);
    let mut command = site.command(&["run", BUCKET, "--keys", &list]);
    command.env("COSTAG_ALLOW_MISSING", "true");
    crate::support::start(command).end().with(0);
    site.write("costag.toml", "allow_missing = true\n");
    site.run(&["--keys", &list]).with(0);
    site.run(&["--keys", &list, "--no-allow-missing"]).with(3);
    assert!(site.costag(&["status", "--failures"]).stdout.contains("nowhere.jpg"));
}

#[test]
fn every_line_ends_in_exactly_one_way() {
    let site = Site::holding(&[
        ("good.jpg", "1"),
        ("bad.txt", "no image"),
        ("denied.jpg", "2"),
        ("empty.jpg", ""),
    ]);
    site.change(r#"{"fault_keys":"denied","faults":{"head_access_denied":1}}"#);
    let mut list = b"good.jpg\nbad.txt\ndenied.jpg\nempty.jpg\nmissing.jpg\ngood.jpg\n".to_vec();
    list.extend(b"not utf-8 \xff.jpg\n");
    list.extend("x".repeat(8193).as_bytes());
    list.extend(b".jpg\n");
    let list = site.write("keys", list);
    let ended = site.run(&["--keys", &list]).with(3);
    ended
        .says(&["lines     7: 1 done, 4 failed, 1 skipped, 1 missing; 1 more repeats one of them"]);
    let failures = site.costag(&["status", "--failures", "--json"]).with(0).stdout;
    let failures: Vec<serde_json::Value> =
        failures.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let denied = failures.iter().find(|row| row["key"] == "denied.jpg").unwrap();
    let message = denied["message"].as_str().unwrap();
    assert!(message.contains("the environment variable COSTAG_SECRET_ID"), "{message}");
    let told: std::collections::BTreeMap<_, _> = failures
        .iter()
        .map(|row| (row["key"].as_str().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    assert_eq!(told["bad.txt"], "InvalidImageFormat");
    assert_eq!(told["denied.jpg"], "AccessDenied");
    assert_eq!(told["missing.jpg"], "NoSuchKey");
    let unusable: Vec<_> = told.keys().filter(|key| told[*key] == "UnusableLine").collect();
    assert!(unusable[0].starts_with("line 7: not utf-8"), "{unusable:?}");
    assert!(unusable[1].starts_with("line 8: xxx"), "{unusable:?}");
    assert_eq!(told.len(), 5);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM failure"), 1, "the view is as it was");
    site.assert_sound();
}

#[test]
fn a_key_that_is_never_answered_delays_no_other_key() {
    let keys: Vec<_> = (0..60).map(|at| format!("{at:02}.jpg")).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    let site = Site::holding(&objects);
    let list = site.write("keys.txt", keys.join("\n"));
    site.change(r#"{"fault_keys":"03.jpg","faults":{"head_stall":1}}"#);
    let run = site.start(&["run", BUCKET, "--keys", &list]);
    wait_until("the others are called", || site.calls() == 59);
    run.signal("INT");
    run.end().with(130);
    // In the end only this key fails.
    site.costag(&["resume", "--timeout", "200ms"])
        .with(3)
        .says(&["1 image with Timeout", "59 done"]);
    assert_eq!(site.calls(), 59);
    site.change(r#"{"clear":true}"#);
    site.run(&["--keys", &list]).with(0);
    assert_eq!(site.calls(), 60);
    site.assert_sound();
}

#[test]
fn a_key_that_is_not_answered_within_patience_fails_by_itself() {
    let keys: Vec<_> = (0..40).map(|at| format!("{at:02}.jpg")).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    let site = Site::holding(&objects);
    let list = site.write("keys.txt", keys.join("\n"));
    site.change(r#"{"fault_keys":"07.jpg","faults":{"head_stall":1}}"#);
    // `patience` is shorter than all tries of one key together.
    let options = ["--keys", &list, "--timeout", "300ms", "--patience", "1s"];
    site.run(&options).with(3).says(&["tagged    39 images", "failed    1 image with Timeout"]);
    assert_eq!(site.calls(), 39);
    site.assert_sound();
}

#[test]
fn a_list_with_a_line_that_is_not_a_url_is_refused_before_any_call() {
    let site = Site::holding(&[]);
    let text = "https://e.com/1.jpg\n\nwww.e.com/2.jpg\nhttp://e.com/3.jpg\nftp://e.com/4.jpg\n";
    let list = site.write("urls.txt", text);
    let told = ["lines 3 and 5 of the list", "urls.txt", "www.e.com/2.jpg"];
    site.run(&["--urls", &list]).with(2).says(&told);
    assert!(!site.path("costag.db").exists());
    piped(&site, &["run", BUCKET, "--urls", "-"], text).with(2).says(&["lines 3 and 5"]);
    assert_eq!(site.calls(), 0);
    site.resume().with(0).says(&["nothing to resume"]);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM list_item"), 0, "nothing is left of it");
    site.assert_sound();
    site.run(&["--urls", &site.write("urls.csv", "id,link\n1,https://e.com/1.jpg\n")])
        .with(2)
        .says(&["lines 1 and 2 of the list", "column named url"]);
    // The comments are counted and reported.
    let list =
        site.write("urls.txt", "# from the shop\nhttps://e.com/1.jpg\n#https://e.com/2.jpg\n");
    site.run(&["--urls", &list]).with(0).says(&["begin with #"]);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["https://e.com/1.jpg"]);
}

#[test]
fn lists_from_windows_are_read_and_utf_16_is_refused() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2")]);
    let keys = site.write("keys.txt", "\u{feff}a.jpg\r\nb.jpg\r\n");
    site.write("costag.toml", "\u{feff}qps = 0\r\n");
    site.run(&["--keys", &keys]).with(0);
    assert_eq!(site.calls(), 2);
    let urls = site.write("urls.csv", "\u{feff}url,id\r\nhttps://e.com/1.jpg,1\r\n");
    site.run(&["--urls", &urls]).with(0);
    let urls = site.write("urls.txt", "\u{feff}https://e.com/2.jpg\r\n");
    site.run(&["--urls", &urls]).with(0);
    assert_eq!(site.calls(), 4);

    let utf16 = |text: &str| -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let keys = site.write("keys.txt", utf16("a.jpg\r\nb.jpg\r\n"));
    site.run(&["--keys", &keys]).with(2).says(&["keys.txt", "UTF-16"]);
    let urls = site.write("urls.txt", utf16("https://e.com/3.jpg\r\n"));
    site.run(&["--urls", &urls]).with(2).says(&["urls.txt", "UTF-16"]);
    site.write("costag.toml", utf16("qps = 0\r\n"));
    site.run(&[]).with(2).says(&["costag.toml", "UTF-16"]);
    assert_eq!(site.calls(), 4);
}

#[test]
fn credentials_files_from_windows_are_read() {
    let site = Site::holding(&[("a.jpg", "1")]);
    let run = |options: &[&str]| {
        let mut command = site.command(&[&["run", BUCKET], options].concat());
        command.env_remove("COSTAG_SECRET_ID").env_remove("COSTAG_SECRET_KEY");
        crate::support::start(command).end()
    };
    let variables = format!("COSTAG_SECRET_ID={SECRET_ID}\r\nCOSTAG_SECRET_KEY={SECRET_KEY}\r\n");
    let conf = format!("[common]\r\nsecret_id = {SECRET_ID}\r\nsecret_key = {SECRET_KEY}\r\n");
    let yaml =
        format!("cos:\r\n  base:\r\n    secretid: {SECRET_ID}\r\n    secretkey: {SECRET_KEY}\r\n");
    let utf16 = |text: &str| -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect()
    };
    for (file, options, text) in [
        ("variables.env", &["--credentials-file", "variables.env"][..], &variables),
        (".cos.conf", &[], &conf),
        (".cos.yaml", &[], &yaml),
    ] {
        site.write(file, format!("\u{feff}{text}"));
        run(options).with(0);
        site.write(file, utf16(text));
        run(options).with(6).says(&[file, "UTF-16"]);
        std::fs::remove_file(site.path(file)).unwrap();
    }
}

/// A bucket of sixty keys, and two lists of thirty keys each.
fn two_lists() -> (Site, [String; 2]) {
    let keys: Vec<_> = (0..60).map(|at| format!("{at:02}.jpg")).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    let site = Site::holding(&objects);
    let lists = [0, 30].map(|from| keys[from..from + 30].join("\n"));
    (site, lists)
}

#[rstest]
#[case::from_standard_input(true)]
#[case::from_a_file_that_is_edited(false)]
fn a_list_with_other_lines_is_a_new_run_and_the_unfinished_one_stays(#[case] stdin: bool) {
    let (site, [first, second]) = two_lists();
    let run = |list: &str, options: &[&str]| {
        if stdin {
            piped(&site, &[&["run", BUCKET, "--keys", "-"], options].concat(), list)
        } else {
            site.write("keys.txt", list);
            site.run(&[&["--keys", "keys.txt"], options].concat())
        }
    };
    run(&first, &["--max-calls", "7"]).with(8);
    let ended = run(&second, &[]).with(0);
    ended.says(&[
        "run 1 stays unfinished",
        "run 1 over another list is unfinished; to continue it:\n  costag resume",
    ]);
    assert_eq!(site.calls(), 37);
    let status = site.costag(&["status"]).with(0);
    let next = "next: continue the earlier run that is unfinished:\n  costag resume";
    assert!(status.stdout.contains(next), "{}", status.stdout);
    site.resume().with(0).says(&["continuing run 1"]);
    assert_eq!(site.calls(), 60);
    assert!(site.called().values().all(|calls| *calls == 1));
    site.assert_sound();
    site.resume().with(0).says(&["nothing to resume"]);
}

#[test]
fn the_same_lines_under_another_name_continue_the_run() {
    let (site, [first, _]) = two_lists();
    let list = site.write("keys.txt", &first);
    site.run(&["--keys", &list, "--max-calls", "7"]).with(8);
    let again = site.write("copy.txt", &first);
    site.run(&["--keys", &again, "--max-calls", "7"]).with(8);
    piped(&site, &["run", BUCKET, "--keys", "-"], &first).with(0);
    assert_eq!(site.calls(), 30);
    assert!(site.called().values().all(|calls| *calls == 1));
    site.resume().with(0).says(&["nothing to resume"]);
    site.assert_sound();
}

#[test]
fn a_list_calls_only_its_own_keys_and_looks_each_up_before() {
    let site = Site::holding(&[("a.jpg", "same"), ("b.jpg", "same"), ("c.jpg", "same")]);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 1);
    // The key that was called first has been overwritten, and no listing has noticed it yet.
    let called = site.called().into_keys().next().unwrap();
    site.put(&[(&called, "other")]);
    let mine = ["a.jpg", "b.jpg", "c.jpg"].into_iter().find(|key| *key != called).unwrap();
    let list = site.write("keys.txt", mine);
    site.run(&["--keys", &list, "--scenes", "camera,web"]).with(0);
    assert_eq!(site.called()[mine], 1);
    assert_eq!(site.called()[&called], 1, "it is not in the list");
    // If the listed key itself was overwritten, its new bytes are called for both scenes.
    site.put_at(mine, "new", 5);
    site.run(&["--keys", &list, "--scenes", "camera,web,news"]).with(0);
    assert_eq!((site.called()[mine], site.called()[&called]), (2, 1));
    let rows = site.export(&["--prefix", mine]);
    assert_eq!(
        rows.len(),
        site.expected("camera,news,web").iter().filter(|row| row[0] == mine).count()
    );
    // A key that needs no call is not looked up.
    let heads = site.emulator.statistics().head_calls;
    site.run(&["--keys", &list, "--scenes", "news"]).with(0);
    assert_eq!(site.emulator.statistics().head_calls, heads);
    site.assert_sound();
}

/// `b.jpg` is back with other bytes, and the labels that it shared with `a.jpg` turn out to be of those.
fn labels_of_other_bytes(lines: &str) -> (Site, String) {
    let site = Site::holding(&[("b.jpg", "same")]);
    site.run(&[]).with(0);
    site.put(&[("a.jpg", "same")]);
    site.run(&[]).with(0);
    site.delete(&["b.jpg"]);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 1);
    site.reset();
    site.put_at("b.jpg", "other", -5);
    let list = site.write("keys.txt", lines);
    (site, list)
}

#[rstest]
#[case::before_it("a.jpg\nb.jpg\n")]
#[case::after_it("b.jpg\na.jpg\n")]
fn labels_that_one_line_of_a_list_drops_are_called_again_by_another_line(#[case] lines: &str) {
    let (site, list) = labels_of_other_bytes(lines);
    let plan = site.costag(&["plan", BUCKET, "--keys", &list, "--json"]).with(0).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["calls"], 2, "{plan}");
    let ended = site.run(&["--keys", &list]).with(0);
    ended.says(&["lines     2: 2 done, 0 failed, 0 skipped, 0 missing"]);
    let called = site.called();
    assert_eq!(called.into_iter().collect::<Vec<_>>(), [("a.jpg".into(), 1), ("b.jpg".into(), 1)]);
    site.assert_exports("camera");
    site.run(&["--keys", &list]).with(0);
    assert_eq!(site.calls(), 2);
    site.assert_sound();
}

#[test]
fn a_line_whose_labels_were_dropped_and_whose_key_is_gone_is_missing() {
    let (site, list) = labels_of_other_bytes("a.jpg\nb.jpg\n");
    site.delete(&["a.jpg"]);
    let ended = site.run(&["--keys", &list]).with(3);
    ended.says(&["lines     2: 1 done, 0 failed, 0 skipped, 1 missing"]);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["b.jpg"]);
    site.assert_sound();
}

#[rstest]
#[case::while_it_is_read("5")]
#[case::after_all_lines_have_ended("30")]
fn images_put_back_during_an_unfinished_list_are_called_when_it_continues(
    #[case] calls: &str,
    #[values("run", "resume")] how: &str,
) {
    let known: Vec<_> = (0..5).map(|at| format!("a/{at}.jpg")).collect();
    let new: Vec<_> = (0..40).map(|at| format!("b/{at:02}.jpg")).collect();
    let site = Site::holding(&[]);
    let put = |keys: &[String]| {
        site.put(&keys.iter().map(|key| (&**key, &**key)).collect::<Vec<_>>());
    };
    put(&known);
    site.run(&[]).with(0);
    put(&new);
    let list = site.write("keys.txt", [&*known, &*new].concat().join("\n"));
    site.run(&["--keys", &list, "--max-calls", calls, "--workers", "2"]).with(8);
    site.costag(&["retag", "--prefix", "a/"]).with(0);
    site.reset();
    let ended = match how {
        "run" => site.run(&["--keys", &list]),
        _ => site.costag(&["resume", "--max-calls", "0"]),
    };
    ended.with(0).says(&["lines     45: 45 done, 0 failed, 0 skipped, 0 missing"]);
    assert_eq!(site.calls(), 5 + 40 - calls.parse::<u64>().unwrap());
    site.assert_exports("camera");
    site.assert_sound();
}

#[test]
fn a_folder_instead_of_a_list_is_refused_and_leaves_no_run_behind() {
    let site = Site::holding(&[("a.jpg", "a")]);
    let folder = site.path("folder");
    std::fs::create_dir(&folder).unwrap();
    for kind in ["--keys", "--urls"] {
        site.run(&[kind, folder.to_str().unwrap()]).with(2).says(&["cannot read the list"]);
    }
    assert!(!site.path("costag.db").exists());
}
