//! Measures signing a request, reading a list page and reading a label answer: `cargo bench --bench cos`.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use costag::cos::signer::{Request, SignKey, key_time, sign};
use costag::cos::{detect_label, list};
use costag::time::UnixSeconds;

const KEYS: u32 = 1000;

/// The best of many short runs, because other work on the machine slows most of them down.
fn measure(what: &str, rounds: u32, parts: u32, mut work: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..500 {
        let started = Instant::now();
        for _ in 0..rounds {
            work();
        }
        best = best.min(started.elapsed().as_secs_f64() / f64::from(rounds) / f64::from(parts));
    }
    eprintln!("{what}: {:.2} µs", best * 1e6);
}

fn page() -> String {
    let mut page = "<?xml version='1.0' encoding='utf-8' ?>\n<ListBucketResult>\n\
        <EncodingType>url</EncodingType><Prefix/><Marker/><IsTruncated>false</IsTruncated>"
        .to_owned();
    for number in 0..KEYS {
        let _ = write!(
            page,
            "\n\t<Contents>\n\t\t<Key>photos/2026/%E7%85%A7%E7%89%87/IMG_{number:06}.jpg</Key>\n\
             \t\t<LastModified>2026-03-14T08:15:30.000Z</LastModified>\n\
             \t\t<ETag>&quot;b80e044d57282dd1cb7ea3507918{number:04x}&quot;</ETag>\n\
             \t\t<Size>2483921</Size>\n\
             \t\t<Owner>\n\t\t\t<ID>1250000000</ID>\n\
             \t\t\t<DisplayName>1250000000</DisplayName>\n\t\t</Owner>\n\
             \t\t<StorageClass>STANDARD</StorageClass>\n\t</Contents>"
        );
    }
    page + "\n</ListBucketResult>\n"
}

fn main() {
    let key = SignKey::new(
        &"BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz".into(),
        key_time(UnixSeconds(1_700_000_000)),
    );
    let request = Request {
        method: "GET",
        path: "/photos/2026/照片/IMG_000001.jpg",
        params: &[("ci-process", "detect-label"), ("scenes", "camera,web")],
        headers: &[("host", "examplebucket-1250000000.cos.ap-beijing.myqcloud.com")],
    };
    measure("sign one request", 200, 1, || {
        black_box(sign("AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q", &key, black_box(&request)));
    });
    let page = page();
    measure("read one listed object", 1, KEYS, || {
        let _ = black_box(list::parse(black_box(page.as_bytes())));
    });
    let compact = page.replace(['\n', '\t'], "");
    measure("the same without blanks between elements", 1, KEYS, || {
        let _ = black_box(list::parse(black_box(compact.as_bytes())));
    });
    let answer = include_bytes!("../tests/data/samples/label-multi-scene.xml");
    let scenes = "album,camera,news,web".parse().expect("these are scenes");
    measure("read one answer of eight labels", 200, 1, || {
        let _ = black_box(detect_label::parse(black_box(answer), scenes));
    });
}
