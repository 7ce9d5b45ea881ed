//! Who may ask, what is answered, and what the server survives.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};

use crate::support::{Site, bare, start, wait_until};

/// A key that would run a script if it were not escaped.
const HOSTILE: &str = r#""><img src=x onerror="alert(1)">/a&b.jpg"#;

/// A label and a category that would run scripts.
const HOSTILE_LABEL: &str = r#"<script>alert("1")"#;
const HOSTILE_CATEGORY: &str = r#"" onerror="alert(1)"#;

fn labelled() -> Site {
    let site = Site::holding(&[
        (HOSTILE, "one"),
        ("2026/11/a.jpg", "two"),
        ("2026/11/copy.jpg", "two"),
        ("صور/قطة.jpg", "three"),
    ]);
    site.run(&["--price-per-1000-calls", "1.2"]).with(0);
    site
}

#[track_caller]
fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

#[test]
fn only_a_browser_with_the_token_is_answered_and_the_token_leaves_the_address() {
    let site = labelled();
    let served = site.serve(&[]);
    let entered = served.raw(&served.head("GET", &format!("/labels?{}", served.token), ""));
    assert_eq!(status(&entered), "303");
    assert!(entered.contains("location: /labels\r\n"), "{entered}");
    let lower = entered.to_lowercase();
    for attribute in ["httponly", "samesite=strict", "path=/"] {
        assert!(lower.contains(attribute), "{entered}");
    }
    for path in [
        "/",
        "/explore",
        "/style.css",
        "/live",
        "/explore.csv",
        "/thumb/1",
        "/?token=0",
        "/nothing",
    ] {
        let refused = served.raw(&served.head("GET", path, ""));
        assert_eq!(status(&refused), "403", "{path}");
        assert!(!refused.contains("2026/") && !refused.contains(&served.token[6..]), "{refused}");
    }
    let cookie = format!("cookie: {}\r\n", served.cookie());
    for (more, expected) in [
        (cookie.clone(), "200"),
        (format!("{cookie}origin: http://127.0.0.1:{}\r\n", served.port), "200"),
        (format!("{cookie}origin: http://evil.example\r\n"), "403"),
        (format!("{cookie}origin: null\r\n"), "403"),
    ] {
        assert_eq!(status(&served.raw(&served.head("GET", "/", &more))), expected, "{more}");
    }
    for (host, expected) in [
        ("localhost", "200"),
        ("[::1]:9", "200"),
        ("evil.example", "403"),
        ("localhost.evil.example", "403"),
    ] {
        let request =
            format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{cookie}\r\n");
        assert_eq!(status(&served.raw(&request)), expected, "{host}");
    }
    let nameless = format!("GET / HTTP/1.0\r\n{cookie}\r\n");
    assert_eq!(status(&served.raw(&nameless)), "403");
    let posted = served.raw(&served.head("POST", "/", &format!("{cookie}content-length: 0\r\n")));
    assert_eq!(status(&posted), "405");
    assert!(posted.contains("allow: GET, HEAD"), "{posted}");
}

#[test]
fn every_page_escapes_what_others_wrote_and_may_load_nothing_from_elsewhere() {
    let site = labelled();
    let id: i64 = site.one(&format!("SELECT content_id FROM object WHERE key = '{HOSTILE}'"));
    site.tamper(&format!(
        "UPDATE tag SET name = '{HOSTILE_LABEL}', first_category = '{HOSTILE_CATEGORY}'
         WHERE id = (SELECT tag_id FROM label WHERE content_id = {id} ORDER BY confidence DESC LIMIT 1)"
    ));
    let served = site.serve(&[]);
    let explore = served.get("/explore");
    let image = format!("/image/{id}");
    for path in [
        "/",
        "/explore",
        "/labels",
        "/runs",
        &image,
        "/image/999999",
        "/explore?colour=%3Cb%3E",
        "/explore?all=%3Cb%3Ex",
    ] {
        let answer = served.get(path);
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        let policy =
            head.lines().find(|line| line.starts_with("content-security-policy:")).unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        for header in [
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
        assert!(
            !page.contains("<img src=x") && !page.contains("<b>x") && !page.contains(" style=\""),
            "{path}"
        );
        assert!(!page.contains("onerror=\"") && !page.contains("<script>"), "{path}");
        assert!(!answer.contains(&served.token[6..]), "{path}");
        for link in page.split("href=\"").skip(1).chain(page.split("src=\"").skip(1)) {
            assert!(link.starts_with('/') || link.starts_with('#'), "{path}: {link:.60}");
            assert!(!link.starts_with("//"), "{path}: {link:.60}");
        }
    }
    // The hostile texts are there, as text.
    for (path, texts) in [
        ("/", &["&#60;script&#62;alert(", "&#34; onerror=&#34;"][..]),
        ("/labels", &["&#60;script&#62;alert(", "&#34; onerror=&#34;"]),
        ("/explore", &["&#60;script&#62;alert(", "&#60;img src=x"]),
        (&image, &["&#60;script&#62;alert(", "&#34; onerror=&#34;", "&#60;img src=x"]),
    ] {
        let page = served.get(path);
        for text in texts {
            assert!(page.contains(text), "{path} lacks {text}: {page}");
        }
    }
    assert!(explore.contains("3 images."), "{explore}");
    assert!(served.get("/").contains("3 images, 100 % labelled."));
    assert!(served.get("/explore?prefix=2026%2F").contains("1 image."));
    assert!(served.get("/runs").contains("Run 1 is complete."));
    assert!(served.get(&image).contains("Ask again"));
}

#[test]
fn a_path_leads_to_a_page_or_nowhere() {
    let site = labelled();
    site.write("secret.txt", "nobody reads this");
    let served = site.serve(&[]);
    for path in [
        "/secret.txt",
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/thumb/../secret.txt",
        "//secret.txt",
        "/image/1/../../secret.txt",
        "/image/-1",
        "/image/1x",
        "/image/99999999999999999999",
        "/thumb/",
    ] {
        let answer = served.get(path);
        assert_eq!(status(&answer), "404", "{path}");
        assert!(!answer.contains("nobody"), "{path}");
    }
    let cookie = format!("cookie: {}\r\n", served.cookie());
    // The forms of a target that have no path: of a proxy's tunnel, and of the server as a whole.
    for target in ["localhost:80", "*"] {
        let answer = served.raw(&served.head("GET", target, &cookie));
        assert!(["400", "404"].contains(&status(&answer)), "{target}: {answer}");
    }
    let whole = served.get("/style.css");
    let head = served.raw(&served.head("HEAD", "/style.css", &cookie));
    assert_eq!(status(&head), "200");
    assert!(head.ends_with("\r\n\r\n"), "a body came: {head}");
    let length = |answer: &str| {
        answer.lines().find(|line| line.starts_with("content-length")).map(str::to_owned)
    };
    assert_eq!(length(&head), length(&whole));
    let long =
        served.raw(&served.head("GET", &format!("/explore?all={}", "x".repeat(100_000)), &cookie));
    assert_eq!(status(&long), "414");
}

#[test]
fn downloads_hold_every_image_of_the_search() {
    let site = labelled();
    site.put(&[("=1+1.jpg", "four")]);
    site.run(&[]).with(0);
    let served = site.serve(&[]);
    let csv = served.get("/explore.csv");
    assert!(csv.contains("filename=\"images.csv\""), "{csv}");
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    // Spreadsheets need the mark at the beginning, and execute no cell.
    assert!(body(&csv).contains("\u{feff}bucket,key,state,labels,code\r\n"), "{csv}");
    assert!(csv.contains(",\"'=1+1.jpg\","), "{csv}");
    assert!(served.get("/explore.jsonl").contains("\"=1+1.jpg\""));
    let hostile = HOSTILE.replace('"', "\"\"");
    assert!(csv.contains(&format!("demo-1250000000,\"{hostile}\",labelled,")), "{csv}");
    let lines = body(&served.get("/explore.jsonl?prefix=2026%2F"));
    let objects: Vec<&str> = lines.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(objects.len(), 1, "{lines}");
    let object: serde_json::Value = serde_json::from_str(objects[0]).unwrap();
    assert_eq!(object["key"], "2026/11/a.jpg");
    assert!(object["labels"].as_array().unwrap().iter().all(|label| label["confidence"].is_u64()));
    assert_eq!(status(&served.get("/explore.csv?state=lost")), "400");
}

#[test]
fn downloads_hold_every_label_of_an_image() {
    const NAMES: [&str; 9] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let site = labelled();
    let content: i64 = site.one("SELECT content_id FROM object WHERE key = '2026/11/a.jpg'");
    let scene: i64 = site.one(&format!("SELECT scene FROM label WHERE content_id = {content}"));
    site.tamper(&format!(
        "DELETE FROM label WHERE id BETWEEN 256 * {content} AND 256 * {content} + 255"
    ));
    for (rank, name) in (1..).zip(NAMES) {
        site.tamper(&format!(
            "INSERT INTO tag (id, name, first_category, second_category)
             VALUES (900 + {rank}, '{name}', 'number', '');
             INSERT INTO label (id, mark)
             VALUES (256 * {content} + 64 * {scene} + {rank}, 128 * (900 + {rank}) + 90 - {rank});"
        ));
    }
    let served = site.serve(&[]);
    let lines = served.get("/explore.jsonl?prefix=2026%2F");
    let line = lines.lines().find(|line| line.starts_with('{')).unwrap();
    let object: serde_json::Value = serde_json::from_str(line).unwrap();
    let labels = object["labels"].as_array().unwrap().iter().map(|label| &label["name"]);
    assert_eq!(labels.collect::<Vec<_>>(), NAMES, "{line}");
    let csv = served.get("/explore.csv?prefix=2026%2F");
    let told: Vec<_> =
        NAMES.iter().zip(1..).map(|(name, rank)| format!("{name}:{}", 90 - rank)).collect();
    assert!(csv.contains(&format!("2026/11/a.jpg,labelled,{},", told.join(";"))), "{csv}");
    // A tile of the page shows the first ones.
    let page = served.get("/explore?prefix=2026%2F");
    let (_, tags) = page.split_once("<span class=\"tags\">").unwrap();
    let tags = tags.split("</span>").next().unwrap();
    assert!(tags.contains("two") && !tags.contains("three"), "{tags}");
}

#[test]
fn the_server_survives_what_happens_to_the_database() {
    let site = labelled();
    let served = site.serve(&[]);
    assert!(served.get("/").contains("3 images"));
    // Written by another run.
    site.put(&[("new.jpg", "four")]);
    site.run(&[]).with(0);
    wait_until("the page shows the new image", || served.get("/").contains("4 images"));
    site.costag(&["backup", "copy.db"]).with(0);
    // Removed.
    for name in ["costag.db", "costag.db-wal", "costag.db-shm"] {
        let _ = fs::remove_file(site.path(name));
    }
    for path in ["/", "/explore", "/labels", "/runs", "/image/1"] {
        let gone = served.get(path);
        assert_eq!(status(&gone), "503", "{path}");
        assert!(gone.contains("There is no database here.") && gone.contains("refresh"), "{gone}");
    }
    // Replaced.
    fs::rename(site.path("copy.db"), site.path("costag.db")).unwrap();
    wait_until("the page shows the copy", || served.get("/").contains("4 images"));
    site.write("costag.db", "no database at all");
    assert_eq!(status(&served.get("/")), "503");
    let ended = {
        let running = served.running();
        running.signal("INT");
        running.end().with(130)
    };
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn slow_and_many_connections_do_not_keep_others_from_an_answer() {
    let site = labelled();
    site.tamper(
        "WITH RECURSIVE n (id) AS (SELECT 100001 UNION ALL SELECT id + 1 FROM n WHERE id < 120000)
         INSERT INTO content (id, scenes_wanted, scenes_done, state, run_id) SELECT id, 8, 8, 2, 1 FROM n;
         INSERT INTO object (bucket_id, key, content_id, fingerprint, first_run)
         SELECT 1, 'many/' || printf('%.*c', 750, 'x') || id, id, 0, 1 FROM content WHERE id > 100000;",
    );
    let served = site.serve(&[]);
    let cookie = served.cookie();
    let mut kept = served.connect();
    let keeps = served.head("GET", "/style.css", &format!("cookie: {cookie}\r\n"));
    kept.write_all(keeps.replace("connection: close\r\n", "").as_bytes()).unwrap();
    // A hundred connections that say nothing or half of a request, more than the server holds at a time.
    let mut idle: Vec<_> = (0..100).map(|_| served.connect()).collect();
    for stream in idle.iter_mut().skip(50) {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: local");
    }
    let request = served.head("GET", "/labels", &format!("cookie: {cookie}\r\n"));
    assert_eq!(status(&served.raw(&request)), "200");
    // The first ones, of both kinds, were closed by the server.
    for silent in [0, 50] {
        let mut rest = Vec::new();
        let closed = idle[silent].read_to_end(&mut rest);
        let is_open = closed.is_err_and(|error| error.kind() != ErrorKind::ConnectionReset);
        assert!(!is_open, "connection {silent} is still open");
    }
    drop(idle);
    // So was the one that was let in and is idle.
    let mut answer = Vec::new();
    let closed = kept.read_to_end(&mut answer);
    assert!(closed.is_ok() && answer.starts_with(b"HTTP/1.1 200"), "{closed:?}");
    // Many who do not read their answers: pages, more than are read at a time, and downloads, as many as there may be.
    // A download is larger than what the system holds for a connection.
    let bytes = format!("cookie: {cookie}\r\n");
    let deaf: Vec<_> = ["/explore"; 30]
        .into_iter()
        .chain(["/explore.csv"; 16])
        .map(|path| {
            let mut stream = served.connect();
            stream.write_all(served.head("GET", path, &bytes).as_bytes()).unwrap();
            stream
        })
        .collect();
    let download = served.head("GET", "/explore.jsonl?prefix=2026%2F", &bytes);
    wait_until("no further download is begun", || status(&served.raw(&download)) == "503");
    assert_eq!(status(&served.raw(&request)), "200");
    // A page that follows the run takes nothing from the downloads, nor they from it.
    let mut follower = served.connect();
    follower.write_all(served.head("GET", "/live", &bytes).as_bytes()).unwrap();
    let mut begin = [0; 12];
    follower.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    assert_eq!(status(&served.raw(&download)), "503");
    // Those who are gone make place for others.
    drop(deaf);
    wait_until("a download is begun", || status(&served.raw(&download)) == "200");
}

#[test]
fn a_server_says_where_it_is_and_changes_nothing() {
    let site = labelled();
    let before = site.tables(&[]);
    let served = site.serve(&["--port", "0"]);
    let again = site.costag(&["serve", "--port", &served.port.to_string()]);
    again.with(4).says(&["cannot listen on port", "leave out --port"]);
    for path in ["/", "/explore?all=x", "/labels", "/runs", "/explore.csv"] {
        assert_eq!(status(&served.get(path)), "200", "{path}");
    }
    let port = served.port;
    let running = served.running();
    running.signal("TERM");
    running.end().with(143).says(&[&format!("ssh -L {port}:127.0.0.1:{port}")]);
    assert_eq!(site.tables(&[]), before);
    let folder = tempfile::tempdir().unwrap();
    start(bare(folder.path(), &["serve"])).end().with(2).says(&["there is no database"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_run_that_goes_on_is_followed() {
    let site = Site::plain(60);
    let run = site.start(&["run", "cos://demo-1250000000", "--qps", "4", "--yes"]);
    wait_until("the run calls", || site.calls() > 0);
    let served = site.serve(&[]);
    let request = served.head("GET", "/live", &format!("cookie: {}\r\n", served.cookie()));
    let mut stream = served.connect();
    stream.write_all(request.as_bytes()).unwrap();
    let mut seen = String::new();
    let mut follow = |until: &str, count: usize| {
        let mut buffer = [0; 4_096];
        while seen.matches(until).count() < count {
            let read = stream.read(&mut buffer).unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
            assert!(read > 0 && seen.matches("data:").count() < 120, "{seen}");
        }
        seen.clone()
    };
    let events = follow("data: {", 2);
    assert!(events.contains("text/event-stream"), "{events}");
    assert!(
        events.contains("\"id\":\"waiting\"") && events.contains("Run 1 is in progress"),
        "{events}"
    );
    // Only the process knows its limit.
    follow("at most 4 /s", 1);
    let page = served.get("/runs");
    assert!(page.contains("at most 4 /s") && page.contains("in flight"), "{page}");
    assert!(served.get("/runs").contains("data-live=\"1-"));
    assert!(served.get("/").contains("Run 1 is in progress"));
    run.end().with(0);
    follow("data: null", 1);
    assert!(served.get("/runs").contains("Run 1 is complete."));
}
