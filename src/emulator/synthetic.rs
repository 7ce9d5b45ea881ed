//! A bucket of computed objects. Nothing is stored, so ten million objects take no memory.
//!
//! The key of an object begins with a folder, which never descends with the index, and the zero-padded index. So the
//! keys ascend in the order of their UTF-8 bytes. The index of an object can be read from its key.

use super::object::{EMPTY_MD5, Object};
use super::{clock, hash};

/// How the keys of a synthetic bucket are spread over the key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Layout {
    /// A few folders at the top, with a folder for each day in them.
    #[default]
    Dated,
    /// All keys in one folder below many others.
    Deep,
    /// Each key is alone in its folder.
    Spread,
    /// All keys share their first 500 bytes.
    Long,
    /// Each key begins with a text that looks like a hash.
    Hashed,
}

/// The contents of a synthetic bucket. Each share is from 0.0 to 1.0 of all objects. A hash of the seed and the index
/// decides which objects belong to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthetic {
    /// The number of objects.
    pub objects: u64,
    /// The same seed gives the same bucket.
    pub seed: u64,
    /// How the keys are spread over folders.
    pub layout: Layout,
    /// The number of labels in an answer, in all requested scenes together.
    pub labels_per_image: usize,
    /// The share of keys with spaces, `%41`, `+`, `?`, `#`, quotes, `..`, `//`, a leading `/`, emoji, CJK or control
    /// characters.
    pub awkward: f64,
    /// The share of keys that end in `.txt` or `.mp4`.
    pub non_images: f64,
    /// The share of placeholders of folders, which end in `/` and are empty.
    pub folders: f64,
    /// The share of empty objects with the name of a picture.
    pub zero_bytes: f64,
    /// The share of objects in the class `ARCHIVE`, `DEEP_ARCHIVE` or `MAZ_ARCHIVE`.
    pub archived: f64,
    /// The share of objects with the content (`ETag` and size) of an earlier one.
    pub duplicates: f64,
    /// The share of contents whose answer has no label.
    pub empty_labels: f64,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            objects: 1000,
            seed: 1,
            layout: Layout::Dated,
            labels_per_image: 10,
            awkward: 0.0,
            non_images: 0.0,
            folders: 0.0,
            zero_bytes: 0.0,
            archived: 0.0,
            duplicates: 0.0,
            empty_labels: 0.0,
        }
    }
}

/// The folders at the top, in ascending order. The first and the last are for awkward keys.
const TOPS: [&str; 6] = ["/lead", "albums", "camera", "photos", "uploads", "相册"];
/// The number of days that have folders, and the first day, 2024-01-01, in days since 1970.
const DAYS: u64 = 900;
const FIRST_DAY: i64 = 19_723;

const AWKWARD: [&str; 16] = [
    " two words",
    "%41",
    "a+b",
    "?x=1",
    "#1",
    "'\"",
    "/../up",
    "//double",
    "\u{1F431}",
    "照片",
    "\u{1}\t",
    "\n",
    "&<>",
    ";=,@:",
    "/./dot",
    "~!()*[]",
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Image,
    Other,
    Folder,
    Zero,
}

impl Synthetic {
    fn draw(&self, index: u64, purpose: u64) -> u64 {
        hash::mix(hash::mix(self.seed, purpose), index)
    }

    fn width(&self) -> usize {
        let digits = self.objects.checked_ilog10().unwrap_or(0) as usize + 1;
        digits.max(8)
    }

    fn kind(&self, index: u64) -> Kind {
        let mut left = hash::unit(self.draw(index, 1));
        for (share, kind) in [
            (self.non_images, Kind::Other),
            (self.folders, Kind::Folder),
            (self.zero_bytes, Kind::Zero),
        ] {
            if left < share {
                return kind;
            }
            left -= share;
        }
        Kind::Image
    }

    /// Returns the top folder of an index, the position of the index in it, and the number of objects in it.
    fn folder(&self, index: u64) -> (&'static str, u64, u64) {
        let (tops, ends) =
            if self.awkward > 0.0 { (&TOPS[..], self.edge()) } else { (&TOPS[1..5], 0) };
        if ends > 0 && index < ends {
            return (tops[0], index, ends);
        }
        if ends > 0 && index >= self.objects - ends {
            return (tops[5], index - (self.objects - ends), ends);
        }
        let inner = if ends > 0 { &tops[1..5] } else { tops };
        let (at, length) = (index - ends, (self.objects - 2 * ends).max(1));
        let quarter = length.div_ceil(4);
        let place = at / quarter;
        (inner[usize::try_from(place).unwrap_or(0).min(3)], at % quarter, quarter)
    }

    /// Returns the number of objects in each of the two outer folders: a sixteenth of the awkward keys.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count need not be exact"
    )]
    fn edge(&self) -> u64 {
        ((self.objects as f64 * self.awkward.min(1.0) / 16.0) as u64).min(self.objects / 4)
    }

    /// Returns the key of `index`, which must be below `objects`.
    pub(super) fn key(&self, index: u64) -> String {
        let mut key = String::with_capacity(64);
        self.key_into(index, &mut key);
        key
    }

    fn key_into(&self, index: u64, key: &mut String) {
        match self.layout {
            Layout::Dated => self.day_into(index, key),
            Layout::Deep => key.push_str("archive/2026/team/camera/roll/raw/export/final/2/web"),
            Layout::Spread => {
                push_padded(key, b'u', index, self.width());
            }
            Layout::Long => {
                for _ in 0..62 {
                    key.push_str("shared-/");
                }
                key.push_str("end");
            }
            Layout::Hashed => {
                // As many even parts as there are keys, a hash's place within its part: ascending all the same.
                let part = u64::MAX / self.objects.max(1);
                let place = part * index + self.draw(index, 11) % part.max(1);
                for byte in place.to_be_bytes() {
                    for digit in [byte >> 4, byte & 15] {
                        key.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
                    }
                }
            }
        }
        self.name_into(index, key);
    }

    /// The folder of a day. Days ascend with the index.
    fn day_into(&self, index: u64, key: &mut String) {
        let (top, at, length) = self.folder(index);
        // 128 bits: an index times 900 days may pass 64.
        let day = u64::try_from(u128::from(at) * u128::from(DAYS) / u128::from(length.max(1)))
            .unwrap_or(0);
        let (year, month, day) = clock::date(FIRST_DAY + day.cast_signed());
        key.push_str(top);
        push_padded(key, b'/', year.unsigned_abs(), 4);
        push_padded(key, b'/', month as u64, 2);
        push_padded(key, b'/', day.unsigned_abs(), 2);
    }

    /// Appends the name of the object in its folder.
    fn name_into(&self, index: u64, key: &mut String) {
        key.push_str("/IMG");
        push_padded(key, b'_', index, self.width());
        let tail = self.draw(index, 2);
        key.push('_');
        for place in (0..6).rev() {
            let digit = u32::try_from(tail >> (4 * place) & 15).unwrap_or(0);
            key.push(char::from_digit(digit, 16).unwrap_or('0'));
        }
        if hash::chance(self.draw(index, 3), self.awkward) {
            key.push_str(AWKWARD[usize::try_from(tail >> 24).unwrap_or(0) % AWKWARD.len()]);
        }
        key.push_str(match self.kind(index) {
            Kind::Image | Kind::Zero if tail >> 62 == 0 => ".png",
            Kind::Image | Kind::Zero => ".jpg",
            Kind::Other if tail >> 63 == 0 => ".txt",
            Kind::Other => ".mp4",
            Kind::Folder => "/",
        });
    }

    /// Returns the index of a key; `None` if no computed object has it.
    pub(super) fn index_of(&self, key: &[u8]) -> Option<u64> {
        let at = key.windows(4).position(|part| part == b"IMG_")? + 4;
        let digits = key.get(at..at + self.width())?;
        let index = std::str::from_utf8(digits).ok()?.parse().ok()?;
        (index < self.objects && self.key(index).as_bytes() == key).then_some(index)
    }

    /// Returns the first index whose key is not before `bound`, or, if `exclusive` is set, the first one after it.
    /// Returns `objects` if there is none.
    pub(super) fn seek(&self, bound: &[u8], exclusive: bool) -> u64 {
        let (mut low, mut high) = (0, self.objects);
        let mut key = String::with_capacity(64);
        while low < high {
            let middle = low + (high - low) / 2;
            key.clear();
            self.key_into(middle, &mut key);
            let before = key.as_bytes() < bound || exclusive && key.as_bytes() == bound;
            if before { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Returns the index whose content this image has: its own, or that of an earlier image.
    fn content_index(&self, index: u64) -> u64 {
        let mut at = index;
        // A chain of copies is short. The limit is for a bucket in which every object is a copy.
        for _ in 0..16 {
            let draw = self.draw(at, 4);
            if at == 0 || !hash::chance(draw, self.duplicates) {
                break;
            }
            let earlier = self.draw(at, 5) % at;
            if self.kind(earlier) != Kind::Image {
                break;
            }
            at = earlier;
        }
        at
    }

    /// Returns the object with this index.
    pub(super) fn object(&self, index: u64) -> Object {
        let kind = self.kind(index);
        let content = if kind == Kind::Image { self.content_index(index) } else { index };
        let (high, low) = (self.draw(content, 6), self.draw(content, 7));
        let (etag, size) = match kind {
            Kind::Folder | Kind::Zero => (EMPTY_MD5.to_owned(), 0),
            Kind::Image | Kind::Other => (
                hex::encode([high.to_be_bytes(), low.to_be_bytes()].as_flattened()),
                20_000 + self.draw(content, 8) % 4_000_000,
            ),
        };
        let class = self.draw(index, 9);
        let archives = ["ARCHIVE", "DEEP_ARCHIVE", "MAZ_ARCHIVE"];
        let storage_class = if hash::chance(class, self.archived) {
            archives[usize::try_from(class % 3).unwrap_or(0)]
        } else {
            "STANDARD"
        };
        Object {
            key: self.key(index).into_bytes(),
            etag,
            size,
            last_modified: FIRST_DAY * 86_400
                + (self.draw(index, 10) % (DAYS * 86_400)).cast_signed(),
            storage_class: storage_class.into(),
            is_image: kind == Kind::Image,
        }
    }

    /// Returns `true` if the answer for the content with this `ETag` has no label.
    pub(super) fn is_empty_answer(&self, etag: &str) -> bool {
        hash::chance(hash::of_bytes(hash::mix(self.seed, 12), etag.as_bytes()), self.empty_labels)
    }
}

fn push_padded(out: &mut String, before: u8, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    for digit in digits.iter_mut().rev().take(width) {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    out.push(char::from(before));
    out.push_str(std::str::from_utf8(&digits[20 - width.min(20)..]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn odd(objects: u64) -> Synthetic {
        Synthetic {
            objects,
            awkward: 0.3,
            non_images: 0.1,
            folders: 0.1,
            zero_bytes: 0.1,
            archived: 0.1,
            duplicates: 0.3,
            ..Synthetic::default()
        }
    }

    #[test]
    fn keys_ascend_and_the_index_of_each_can_be_read_from_it() {
        let layouts = [Layout::Deep, Layout::Spread, Layout::Long, Layout::Hashed];
        let laid_out = |layout| Synthetic { layout, ..odd(3000) };
        for bucket in
            [odd(5000), Synthetic { objects: 5000, ..Synthetic::default() }, odd(3), odd(16)]
                .into_iter()
                .chain(layouts.map(laid_out))
        {
            let keys: Vec<String> = (0..bucket.objects).map(|index| bucket.key(index)).collect();
            assert!(keys.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()));
            for (index, key) in (0..).zip(&keys) {
                assert_eq!(bucket.index_of(key.as_bytes()), Some(index));
                assert_eq!(bucket.seek(key.as_bytes(), false), index);
                assert_eq!(bucket.seek(key.as_bytes(), true), index + 1);
                assert_eq!(bucket.index_of(format!("{key}x").as_bytes()), None);
            }
            assert_eq!(bucket.seek(b"\xff", true), bucket.objects);
        }
    }

    #[test]
    fn long_keys_share_five_hundred_bytes() {
        let bucket = Synthetic { layout: Layout::Long, ..Synthetic::default() };
        let (first, last) = (bucket.key(0), bucket.key(999));
        assert!(first.as_bytes()[..500] == last.as_bytes()[..500] && first.len() < 560, "{first}");
    }

    #[test]
    fn a_bucket_has_every_kind_of_awkward_key() {
        let bucket = odd(5000);
        let keys: Vec<String> = (0..5000).map(|index| bucket.key(index)).collect();
        for part in AWKWARD.into_iter().chain(["相册/", "/lead/", ".txt", ".mp4"]) {
            assert!(keys.iter().any(|key| key.contains(part)), "{part:?}");
        }
        assert!(keys.iter().any(|key| key.starts_with('/')));
    }

    #[test]
    fn duplicates_share_etag_and_size_with_an_earlier_image() {
        let bucket = odd(2000);
        let mut contents = BTreeSet::new();
        let mut copies = 0;
        for index in 0..2000 {
            let object = bucket.object(index);
            if object.is_image && !contents.insert((object.etag, object.size)) {
                copies += 1;
            }
        }
        assert!((150..700).contains(&copies), "{copies}");
        let etags: BTreeSet<&String> = contents.iter().map(|(etag, _)| etag).collect();
        assert_eq!(etags.len(), contents.len(), "an ETag has one size");
    }

    #[test]
    fn a_bucket_of_ten_million_objects_has_keys_of_the_documented_form() {
        let bucket = Synthetic { objects: 10_000_000, ..Synthetic::default() };
        let key = bucket.key(9_999_999);
        assert!(key.starts_with("uploads/2026/06/") && key.contains("/IMG_09999999_"), "{key}");
        assert_eq!(bucket.seek(key.as_bytes(), false), 9_999_999);
    }
}
