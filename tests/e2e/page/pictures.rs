//! Pictures on the page: those of a folder, and never a file outside of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::Served;
use crate::support::{Site, bare, start};

/// A file outside of the folder holds a picture of this colour.
const OUTSIDE: [u8; 3] = [250, 0, 250];

fn draw(path: &Path, width: u32, height: u32, colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_pixel(width, height, image::Rgb(colour)).save(path).unwrap();
}

/// The head and the bytes of an answer.
pub(super) fn parts(answer: &[u8]) -> (String, &[u8]) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap(), &answer[end + 4..])
}

/// The picture of an answer, which must be a JPEG.
#[track_caller]
fn picture(served: &Served, path: &str) -> image::RgbImage {
    let answer = served.bytes(path);
    let (head, body) = parts(&answer);
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    for header in ["content-type: image/jpeg", "x-content-type-options: nosniff"] {
        assert!(head.contains(header), "{path}: {head}");
    }
    image::load_from_memory_with_format(body, image::ImageFormat::Jpeg).unwrap().into_rgb8()
}

/// An answer that is the plain tile.
#[track_caller]
fn plain_tile(served: &Served, path: &str) {
    let answer = served.bytes(path);
    let (head, body) = parts(&answer);
    assert!(head.starts_with("HTTP/1.1 404"), "{path}: {head}");
    assert!(head.contains("content-type: image/svg+xml"), "{path}: {head}");
    assert!(body.starts_with(b"<svg") && body.len() < 200, "{path}");
}

/// The addresses of images of a page that begin with this.
pub(super) fn sources<'p>(page: &'p str, attribute: &str) -> Vec<&'p str> {
    let begin = format!(" {attribute}=\"");
    page.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

pub(super) fn content(site: &Site, key: &str) -> i64 {
    site.one(&format!("SELECT content_id FROM object WHERE key = '{key}'"))
}

#[test]
fn pictures_come_from_the_folder_small_and_never_from_outside() {
    let (inside, outside) = (
        ["a/wide.png", "a/small.jpg", "katze 猫.png"],
        [
            "../outside.png",
            "a/../../outside.png",
            "linked.png",
            "folder/outside.png",
            "damaged.png",
            "missing.png",
            "text.png",
        ],
    );
    let keys: Vec<_> = inside.iter().chain(&outside).map(|key| (*key, *key)).collect();
    let site = Site::holding(&keys);
    site.run(&[]).with(0);
    let root = site.path("pictures");
    draw(&root.join("a/wide.png"), 2_000, 500, [200, 30, 30]);
    draw(&root.join("a/small.jpg"), 60, 40, [30, 200, 30]);
    draw(&root.join("katze 猫.png"), 40, 900, [30, 30, 200]);
    draw(&site.path("outside.png"), 50, 50, OUTSIDE);
    symlink("../outside.png", root.join("linked.png")).unwrap();
    symlink("..", root.join("folder")).unwrap();
    let whole = fs::read(root.join("a/wide.png")).unwrap();
    fs::write(root.join("damaged.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(root.join("text.png"), "nobody reads this").unwrap();

    let served = site.serve(&["--images", "pictures"]);
    for (key, thumb, large) in [
        ("a/wide.png", (480, 120), (1_440, 360)),
        ("a/small.jpg", (60, 40), (60, 40)),
        ("katze 猫.png", (21, 480), (40, 900)),
    ] {
        let id = content(&site, key);
        assert_eq!(picture(&served, &format!("/thumb/{id}")).dimensions(), thumb, "{key}");
        assert_eq!(picture(&served, &format!("/picture/{id}")).dimensions(), large, "{key}");
    }
    let red = picture(&served, &format!("/thumb/{}", content(&site, "a/wide.png")));
    assert!(red.get_pixel(9, 9)[0] > 150, "{red:?}");
    for key in outside {
        for view in ["thumb", "picture"] {
            plain_tile(&served, &format!("/{view}/{}", content(&site, key)));
        }
    }
    assert!(served.get("/thumb/999999").starts_with("HTTP/1.1 404"));

    // Without the token nothing is sent.
    let path = format!("/thumb/{}", content(&site, "a/wide.png"));
    assert!(served.raw(&served.head("GET", &path, "")).starts_with("HTTP/1.1 403"));

    // The folder is read at each request.
    fs::remove_file(root.join("a/wide.png")).unwrap();
    plain_tile(&served, &path);
}

#[test]
fn the_pages_name_the_pictures_and_the_policy_allows_them() {
    let site = Site::holding(&[("a.png", "one"), ("b.png", "two")]);
    site.run(&[]).with(0);
    draw(&site.path("pictures/a.png"), 60, 40, [200, 30, 30]);
    let served = site.serve(&["--images", "pictures"]);
    let thumbs = ["a.png", "b.png"].map(|key| format!("/thumb/{}", content(&site, key)));
    let image = format!("/image/{}", content(&site, "a.png"));
    for path in ["/", "/explore", &image] {
        let page = served.get(path);
        let policy = page.lines().find(|line| line.starts_with("content-security-policy:"));
        assert!(policy.unwrap().contains("img-src 'self';"), "{path}: {policy:?}");
        let shown = sources(&page, "src");
        // The folder is free, so no picture waits until the person scrolls.
        assert!(!page.contains("data-src") && !page.contains("This page asks"), "{path}");
        if path == image {
            let large = format!("/picture/{}", content(&site, "a.png"));
            assert!(shown.contains(&large.as_str()), "{path}: {shown:?}");
            picture(&served, &large);
        } else {
            for thumb in &thumbs {
                assert!(shown.contains(&thumb.as_str()), "{path}: {shown:?}");
            }
        }
        assert!(!page.contains("Without pictures"), "{path}");
    }
    drop(served);
    let without = site.serve(&[]);
    for path in ["/", "/explore", &image] {
        let page = without.get(path);
        assert!(!page.contains("<img"), "{path}");
        assert!(page.contains("Without pictures: --pictures shows"), "{path}");
    }
    assert!(without.get(&thumbs[0]).starts_with("HTTP/1.1 404"));
    drop(without);
    for (folder, why) in [("nowhere", "cannot be opened"), ("costag.db", "is not a folder")] {
        site.costag(&["serve", "--images", folder]).with(2).says(&[why]);
    }
}

#[test]
fn the_demo_serves_the_page_with_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    draw(&folder.path().join("few/red.png"), 900, 600, [220, 20, 20]);
    let demo = bare(folder.path(), &["demo", "--images", "few", "--serve"]);
    let served = Served::started(start(demo));
    let page = served.get("/explore");
    let (_, rest) = page.split_once("src=\"/thumb/").unwrap_or_else(|| panic!("{page}"));
    let id = rest.split('"').next().unwrap();
    assert_eq!(picture(&served, &format!("/thumb/{id}")).dimensions(), (480, 320));
    let running = served.running();
    running.signal("INT");
    let ended = running.end().with(130);
    assert!(ended.stdout.contains("costag-demo/report.html"), "{}", ended.stdout);
}
