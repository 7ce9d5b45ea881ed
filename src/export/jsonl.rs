//! JSON lines: one object per row, with the names of the CSV columns. `null` stands for an empty field of the CSV.

use serde::Serialize;

use super::csv;
use super::rows::{Layout, Rows};
use super::time::iso_seconds;
use crate::label::Label;
use crate::scene::Scene;
use crate::store::read::Exported;

#[derive(Serialize)]
struct WideRow<'a> {
    bucket: &'a str,
    key: &'a str,
    /// `None` for a scene that was not asked for; an empty list for a scene without labels.
    album: Option<Vec<WideLabel<'a>>>,
    camera: Option<Vec<WideLabel<'a>>>,
    news: Option<Vec<WideLabel<'a>>>,
    web: Option<Vec<WideLabel<'a>>>,
    #[serde(flatten)]
    tail: &'a Tail,
}

#[derive(Serialize)]
struct WideLabel<'a> {
    name: &'a str,
    first_category: &'a str,
    second_category: &'a str,
    confidence: u8,
}

impl<'a> From<Label<'a>> for WideLabel<'a> {
    fn from(label: Label<'a>) -> Self {
        let Label { name, first_category, second_category, confidence, .. } = label;
        Self { name, first_category, second_category, confidence }
    }
}

#[derive(Serialize)]
struct Tail {
    etag: Option<String>,
    size: Option<u64>,
    last_modified: Option<String>,
    tagged_at: Option<String>,
}

impl Tail {
    fn of(object: &Exported<'_>) -> Self {
        let ascii = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut text = Vec::new();
            write(&mut text);
            Some(String::from_utf8_lossy(&text).into_owned()).filter(|text| !text.is_empty())
        };
        let time = |seconds: i64| ascii(&|out| iso_seconds(seconds, out));
        Self {
            etag: object.etag.map(ToString::to_string),
            size: object.size,
            last_modified: object.last_modified.and_then(|ms| time(ms.div_euclid(1_000))),
            tagged_at: object.tagged_at.and_then(time),
        }
    }
}

/// Rows of either layout.
pub(super) struct Lines {
    layout: Layout,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Lines {
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, head: Vec::new(), tail: Vec::new() }
    }
}

impl Rows for Lines {
    fn header(&self, _out: &mut Vec<u8>) {}

    fn object(&mut self, object: &Exported<'_>, out: &mut Vec<u8>) -> u64 {
        let (bucket, key) = (object.bucket, object.key);
        let tail = &Tail::of(object);
        if self.layout == Layout::Wide {
            let of = |scene: Scene| {
                let labels = object.labels().filter(|label| label.scene == scene);
                object.scenes.contains(scene).then(|| labels.map(WideLabel::from).collect())
            };
            let [album, camera, news, web] = Scene::ALL.map(of);
            line(&WideRow { bucket, key, album, camera, news, web, tail }, out);
            return 1;
        }
        // The fields that all rows of an object share are formatted once: an image with ten labels has ten rows.
        self.head.clear();
        self.head.extend_from_slice(b"{\"bucket\":");
        json(bucket, &mut self.head);
        self.head.extend_from_slice(b",\"key\":");
        json(key, &mut self.head);
        self.head.extend_from_slice(b",\"scene\":\"");
        self.tail.clear();
        json(tail, &mut self.tail);
        // The tail was written as a separate object. Its opening brace becomes the comma before its first name.
        self.tail[0] = b',';
        self.tail.push(b'\n');
        for label in object.labels() {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(label.scene.name().as_bytes());
            out.extend_from_slice(b"\",\"rank\":");
            csv::number(label.rank, out);
            for (name, text) in [
                (&b",\"name\":"[..], label.name),
                (b",\"first_category\":", label.first_category),
                (b",\"second_category\":", label.second_category),
            ] {
                out.extend_from_slice(name);
                json(text, out);
            }
            out.extend_from_slice(b",\"confidence\":");
            csv::number(label.confidence, out);
            out.extend_from_slice(&self.tail);
        }
        object.labels().len() as u64
    }
}

fn line(row: &impl Serialize, out: &mut Vec<u8>) {
    json(row, out);
    out.push(b'\n');
}

fn json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("texts and numbers can be written to memory");
}
