use proptest::prelude::*;

use super::*;
use crate::scene::Scenes;
use crate::store::model::{Counts, RunState, SourceKind};
use crate::store::read::{
    BucketPrefixes, CategoryCount, Changes, FailureCode, ImageCounts, LabelCount, LedgerSums,
    ObjectCounts, Prefix, RunRow, Sample, Survey,
};
use crate::time::{UnixMillis, UnixSeconds};
use crate::view::{Money, Pace, Picture, Readings, Terms};

/// Readings in which everything that others chose has this name.
fn readings(name: &str, labels: usize) -> Readings {
    let text = || name.to_owned();
    let sample = |content_id| Sample { content_id, bucket: text(), key: text() };
    let label = |place: usize| LabelCount {
        name: text(),
        first_category: text(),
        second_category: text(),
        images: 40_000 - place as u64,
        uncertain: 3,
        confidence: 900_000,
        scenes: Scenes::from_bits(2),
        came: place as u64 % 3,
        went: 1,
        samples: if place < 30 { vec![sample(1), sample(2)] } else { Vec::new() },
        beside: vec![0, 1, 2],
    };
    let prefix = |segment: String, children| Prefix {
        segment,
        objects: 9,
        labelled: 7,
        children,
        ..Prefix::default()
    };
    let many = |children: Vec<Prefix>| {
        (0..40).map(|_| prefix(format!("{name}/"), children.clone())).collect::<Vec<_>>()
    };
    let run = |id, state| RunRow {
        id,
        bucket: text(),
        source: SourceKind::Bucket,
        prefix: text(),
        state,
        stop_reason: Some(text()),
        settings: text(),
        plan: false,
        journals: true,
        tool_version: text(),
        exit_code: None,
        pruned: false,
        import: None,
        started_at: UnixSeconds(1_795_600_000),
        listed_at: None,
        ended_at: Some(UnixSeconds(1_795_603_600)),
        counts: Counts { listed: 9, calls: 5, done: 3, failed: 2, queued: 9, ..Counts::default() },
    };
    let code = |code| FailureCode { code, http_status: Some(400), temporary: false, contents: 2 };
    let sums = LedgerSums { calls: 9, throttled: 1, scenes_asked: 9, ..LedgerSums::default() };
    let root = prefix(String::new(), many(many(many(Vec::new()))));
    Readings {
        survey: Survey {
            images: ImageCounts { labelled: 7, unlabelled: 1, given_up: 1, waiting: 1, failed: 1 },
            objects: ObjectCounts { copies: 3, gone: 4, ..ObjectCounts::default() },
            labels: (0..labels).map(label).collect(),
            categories: (0..40)
                .map(|_| CategoryCount { name: text(), images: 7, second: vec![(text(), 3); 30] })
                .collect(),
            confidence: (0..=100).collect(),
            prefixes: vec![BucketPrefixes { bucket: text(), urls: false, root }],
            failures: vec![code(Some(text())); 40],
            lines: vec![code(None)],
            changes: Some(Changes { run_id: 2, added: 9, changed: 1, moved: 1, gone: 1 }),
        },
        runs: (0..60)
            .map(|place| {
                run(60 - place, if place % 2 == 0 { RunState::Stopped } else { RunState::Complete })
            })
            .collect(),
        calls: sums,
        by_run: [(60, sums)].into(),
        by_day: [(jiff::civil::date(2026, 11, 24), sums)].into(),
        pace: Some(Pace {
            run_id: 60,
            part_ms: 1_000,
            from: UnixMillis(0),
            parts: vec![sums; 120],
        }),
        ..Readings::default()
    }
}

fn terms() -> Terms {
    Terms {
        zone: jiff::tz::TimeZone::UTC,
        now: jiff::Timestamp::from_second(1_795_672_800).unwrap(),
        money: Money { per_1000: Some(1.2), by_scene: true, currency: "CNY".to_owned() },
        common: vec![("--db".to_owned(), Some("nightly.db".to_owned()))],
        links: crate::view::Links::File,
        aliases: std::sync::Arc::default(),
    }
}

fn html(readings: &Readings, name: &str) -> String {
    let picture =
        |sample: &Sample| (sample.content_id == 1).then(|| Picture::Embedded("p0".to_owned()));
    let terms = Terms { common: vec![("--db".to_owned(), Some(name.to_owned()))], ..terms() };
    let overview = Overview::of(readings, &terms, picture);
    let report = Report {
        overview: &overview,
        labels: &Labels::of(readings, &terms),
        runs: &Runs::of(readings, &terms),
        album: &Album::default(),
        source: name.to_owned(),
        database: name.to_owned(),
        made: terms.now(),
    };
    report.html().unwrap()
}

/// The tags of a document, each with the names of its attributes, without their values.
fn tags(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let mut tag = String::new();
        let mut in_value = false;
        let mut end = rest.len();
        for (at, c) in rest.char_indices().skip_while(|(at, _)| *at <= start) {
            match c {
                '"' => in_value = !in_value,
                _ if in_value => {}
                '>' => {
                    end = at;
                    break;
                }
                _ => tag.push(c),
            }
        }
        rest = &rest[(end + 1).min(rest.len())..];
        // Style and script are no markup. Their hashes protect them.
        if tag == "style" || tag == "script" {
            rest = &rest[rest.find(&format!("</{tag}>")).unwrap()..];
        }
        tags.push(tag);
    }
    tags
}

/// What is between the first `from` and the `to` after it.
fn between<'a>(html: &'a str, from: &str, to: &str) -> &'a str {
    html.split_once(from).unwrap().1.split_once(to).unwrap().0
}

proptest! {
    // A whole report is made twice for each case.
    #![proptest_config(crate::property::with_cases(24))]

    #[test]
    fn no_name_changes_the_markup(name in "[<>&\"'a-z =\u{202e}\u{0}猫-]{1,30}|[^/]{1,30}") {
        // A long path is shortened, so the number of its segments may differ.
        let markup = |name: &str| -> Vec<String> {
            let tags = tags(&html(&readings(name, 40), name));
            tags.into_iter().filter(|tag| !tag.ends_with("bdi")).collect()
        };
        prop_assert!(markup(&name) == markup("x"), "the markup is another one");
    }
}

#[test]
fn hostile_names_are_shown_as_text() {
    let name = "</style><script>alert(1)</script><img src=x onerror=alert(2)>";
    let html = html(&readings(name, 3), name);
    assert!(!html.contains("alert(1)</script>") && !html.contains("<img"), "{html}");
    assert_eq!(html.matches("<script").count(), 1);
    assert!(html.contains("&#60;/style&#62;&#60;script&#62;"));
}

#[test]
fn the_policy_allows_the_style_and_the_script_of_the_file_and_nothing_else() {
    let html = html(&readings("x", 40), "x");
    let policy = between(&html, "content=\"", "\"").replace("&#39;", "'");
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    let style = hash(between(&html, "<style>", "</style>"));
    let script = hash(between(&html, "<script>", "</script>"));
    let expected = format!(
        "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; \
         form-action 'none'"
    );
    assert_eq!(policy, expected);
    for tag in tags(&html) {
        let attributes = tag.split_whitespace().skip(1);
        for attribute in attributes {
            assert!(!attribute.starts_with("style") && !attribute.starts_with("on"), "{tag}");
        }
    }
    // Links stay in the file, and nothing is loaded from elsewhere.
    for link in html.split("href=\"").skip(1).chain(html.split("src=\"").skip(1)) {
        assert!(link.starts_with('#') || link.starts_with("data:image/"), "{link:.60}");
    }
    assert!(!html.contains("http:") && !html.contains("https:"));
}

#[test]
fn a_report_of_very_many_and_hostile_names_is_at_most_a_megabyte() {
    for (name, shown) in [("猫", "1,000"), ("<&\"'><&\"'>".repeat(90).as_str(), "")] {
        let html = html(&readings(name, 20_000), "x");
        assert!(html.len() <= 1_000_000, "{} bytes", html.len());
        assert!(
            html.contains(&format!("The {shown}")) && html.contains(" more are in"),
            "{name:.9}"
        );
    }
}

#[test]
fn every_link_of_a_report_leads_to_something_in_it() {
    let html = html(&readings("x", 40), "x");
    let mut links = 0;
    for link in html.split("href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        // Pictures are in the album, which is empty here.
        assert!(id == "p0" || html.contains(&format!("id=\"{id}\"")), "{id}");
        links += 1;
    }
    assert!(links > 40, "{links}");
    let ids: Vec<&str> =
        html.split(" id=\"").skip(1).map(|id| id.split('"').next().unwrap()).collect();
    let distinct: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "an id occurs twice");
}

#[test]
fn elements_are_closed_in_the_order_in_which_they_were_opened() {
    for readings in [readings("x", 40), Readings::default()] {
        let mut open: Vec<String> = Vec::new();
        for tag in tags(&html(&readings, "x")) {
            let name = tag.split_whitespace().next().unwrap_or_default();
            let is_void =
                tag.ends_with('/') || ["meta", "input", "col", "!doctype"].contains(&name);
            if let Some(name) = name.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name));
            } else if !is_void {
                open.push(name.to_owned());
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}

#[test]
fn an_empty_database_says_how_to_begin() {
    let html = html(&Readings::default(), "it's here.db");
    for text in
        ["Nothing was labelled yet.", "costag run cos://BUCKET-APPID", "No labels.", "No run yet."]
    {
        assert!(html.contains(text), "{text}");
    }
    assert!(
        html.contains("--db &#39;it&#39;\\&#39;&#39;s here.db&#39;"),
        "commands name the database"
    );
    assert!(!html.contains("NaN") && !html.contains("<svg class=\"chart"));
}

#[test]
fn a_run_with_failures_only_says_so() {
    let mut readings = readings("x", 0);
    readings.survey.images = ImageCounts { given_up: 2, failed: 2, ..ImageCounts::default() };
    readings.survey.confidence = vec![0; 101];
    readings.survey.categories.clear();
    readings.runs.truncate(1);
    readings.runs[0].counts = Counts { calls: 2, failed: 2, queued: 2, ..Counts::default() };
    let html = html(&readings, "x");
    for text in [
        "2 images, 0 % labelled.",
        "No labels.",
        "2 images failed",
        "2 images in the bucket have failed",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("Contact sheet") && !html.contains("id=\"threshold\""));
}
