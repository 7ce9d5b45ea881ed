//! Pictures of the bucket: the page leads to signed links, which nobody writes down.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use costag::emulator::{Settings, Synthetic};

use super::Served;
use super::pictures::{content, parts, sources};
use crate::support::{LONGEST, Site, bare, start};

/// The answer of the server to which a link leads.
pub(crate) fn opened(link: &str) -> Vec<u8> {
    let (host, target) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LONGEST)).unwrap();
    let head = format!("GET /{target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// The head of the answer to which a link leads.
pub(crate) fn head(link: &str) -> String {
    parts(&opened(link)).0
}

/// Where a page leads to for a picture.
#[track_caller]
fn link(served: &Served, path: &str) -> String {
    let answer = served.get(path);
    assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
    assert!(answer.contains("cache-control: private, max-age=300\r\n"), "{answer}");
    let (_, rest) = answer.split_once("location: ").unwrap();
    rest.lines().next().unwrap().to_owned()
}

const KEYS: [&str; 3] = ["a.jpg", "2026/a b/猫+%41?#&.jpg", "a/../b//c.png"];

fn labelled() -> Site {
    let site = Site::holding(&KEYS.map(|key| (key, key)));
    site.run(&[]).with(0);
    site
}

#[test]
fn a_picture_of_the_bucket_is_a_signed_link_that_is_made_when_it_is_asked_for() {
    let site = labelled();
    let endpoint = site.emulator.endpoint();
    let served = site.serve(&["--pictures", "--log", "trace"]);
    let ids = KEYS.map(|key| content(&site, key));
    let image = format!("/image/{}", ids[0]);
    for path in ["/", "/explore", &image] {
        let page = served.get(path);
        let policy = page.lines().find(|line| line.starts_with("content-security-policy:"));
        assert!(policy.unwrap().contains(&format!("img-src 'self' {endpoint};")), "{policy:?}");
        assert!(!page.contains("q-sign") && !page.contains("Without pictures"), "{path}: {page}");
        assert!(
            sources(&page, "src").iter().any(|src| src.ends_with(&ids[0].to_string())),
            "{page}"
        );
    }
    assert!(served.get("/explore").contains("This page asks for 3 pictures."));
    assert!(served.get(&image).contains("This page asks for 1 picture."));
    // Nothing was asked of the bucket so far, and no picture passes through the server.
    let mut seen = Vec::new();
    for id in ids {
        for (path, side) in [("thumb", 480), ("picture", 1_440)] {
            let link = link(&served, &format!("/{path}/{id}"));
            assert_eq!(site.emulator.statistics().get_calls, seen.len() as u64);
            let answer = opened(&link);
            let (head, body) = parts(&answer);
            assert!(head.starts_with("HTTP/1.1 200"), "{link}: {head}");
            assert_eq!(image::load_from_memory(body).unwrap().width(), 240, "{link}");
            let instruction = format!("imageMogr2/thumbnail/{side}x{side}%3E");
            assert!(link.ends_with(&format!("&{instruction}")), "{link}");
            seen.push((link, instruction));
        }
    }
    // A link leads only to the picture for which it was made.
    let (link, instruction) = &seen[0];
    for forged in [link.replace("480x480", "900x900"), link.replace(&format!("&{instruction}"), "")]
    {
        assert!(self::head(&forged).starts_with("HTTP/1.1 403"), "{forged}");
    }
    assert!(self::head(&link.replace("a.jpg", "b.jpg")).starts_with("HTTP/1.1 403"));
    let running = served.running();
    running.signal("INT");
    let ended = running.end().with(130).says(&["pictures come from", &endpoint, "15 minutes"]);
    let database = fs::read(site.path("costag.db")).unwrap();
    for (link, _) in &seen {
        let (_, rest) = link.split_once("q-signature=").unwrap();
        let signature = &rest[..40];
        assert!(!ended.stderr.contains(signature) && !ended.stdout.contains(signature));
        assert!(!database.windows(40).any(|part| part == signature.as_bytes()));
    }
}

#[test]
fn links_lead_to_the_host_of_the_settings_and_carry_the_token() {
    const TOKEN: &str = "a/token+that=is&long-enough";
    let settings = Settings { token: Some(TOKEN.to_owned()), ..Settings::default() };
    let site = Site::new(Synthetic { objects: 2, ..Synthetic::default() }, settings);
    let with_token = |arguments: &[&str]| {
        let mut command = site.command(arguments);
        command.env("COSTAG_TOKEN", TOKEN);
        start(command)
    };
    with_token(&["run", crate::support::BUCKET]).end().with(0);
    let host = format!("http://localhost:{}", site.emulator.address().port());
    let served = Served::started(with_token(&["serve", "--pictures", "--link-host", &host]));
    let page = served.get("/explore");
    assert!(page.contains(&format!("img-src 'self' {host};")), "{page}");
    let link = link(&served, "/thumb/1");
    assert!(link.starts_with(&format!("{host}/")) && link.contains("&x-cos-security-token="));
    assert!(head(&link).starts_with("HTTP/1.1 200"), "{link}");
    let running = served.running();
    running.signal("INT");
    let ended = running.end().with(130).says(&["carry the temporary token", &host]);
    assert!(!ended.stderr.contains(TOKEN) && !ended.stderr.contains("q-signature"));
}

#[test]
fn pictures_of_the_bucket_need_credentials_and_a_known_host() {
    let site = labelled();
    // Only the database names the endpoint of the run, and it is no host of the service.
    let mut command = bare(site.folder(), &["serve", "--pictures"]);
    command.env("COSTAG_SECRET_ID", "id-of-a-test").env("COSTAG_SECRET_KEY", "key");
    start(command).end().with(2).says(&["the region of the bucket is not known", "--region"]);
    site.costag(&["serve", "--pictures", "--images", "."]).with(2);
    let plain = ["serve", "--pictures", "--link-host", "http://img.example.com"];
    site.costag(&plain).with(2).says(&["link_host is unusable", "no encryption"]);
}

#[test]
fn links_of_find_open_the_images_until_they_end() {
    let site = labelled();
    let all = ["find", "--not", "no such label", "--url"];
    let links = |options: &[&str]| {
        let found = site.costag(&[&all[..], options].concat()).with(0);
        assert!(!found.stderr.contains("q-sign"), "{}", found.stderr);
        found.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let found = links(&["--expires", "2m"]);
    assert_eq!(found.len(), 3, "{found:?}");
    for link in &found {
        assert!(head(link).starts_with("HTTP/1.1 200"), "{link}");
    }
    assert!(found.iter().any(|link| link.contains("/2026/a%20b/%E7%8C%AB%2B%2541%3F%23%26.jpg?")));
    let json: serde_json::Value = serde_json::from_str(&links(&["--json"])[1]).unwrap();
    assert_eq!(json["key"], "a.jpg");
    assert!(head(json["url"].as_str().unwrap()).starts_with("HTTP/1.1 200"));
    let csv = links(&["--csv"]);
    assert_eq!(csv[0], "bucket,key,labels,url");
    assert!(csv[2].starts_with("demo-1250000000,a.jpg,,http://"), "{csv:?}");
    site.change(r#"{"clock_offset_seconds": 180}"#);
    assert!(head(&found[0]).starts_with("HTTP/1.1 403"));
    assert!(head(&links(&[])[0]).starts_with("HTTP/1.1 200"));
    for wrong in ["30s", "8d", "tomorrow"] {
        site.costag(&[&all[..], &["--expires", wrong]].concat()).with(2).says(&["--expires"]);
    }
    // A public URL is its own link.
    let urls = site.write("urls.txt", "https://example.com/1.jpg\n");
    site.run(&["--urls", &urls]).with(0);
    assert!(links(&[]).contains(&"https://example.com/1.jpg".to_owned()));
    // An endpoint is that of one bucket: there, the keys of another one would be other images.
    let other = "INSERT INTO bucket VALUES (9, 'other-1250000000', 'keys');
                 UPDATE object SET bucket_id = 9 WHERE key = 'a.jpg'";
    rusqlite::Connection::open(site.path("costag.db")).unwrap().execute_batch(other).unwrap();
    site.costag(&all).with(2).says(&["endpoint is a host of one bucket", "--bucket"]);
    let of_one = links(&["--bucket", "demo-1250000000"]);
    assert!(of_one.len() > 1 && of_one.iter().all(|link| !link.contains("/a.jpg?")), "{of_one:?}");
}
