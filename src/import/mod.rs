//! Reads labels from a CSV file: an export of this program, or what a script wrote.
//!
//! The file has one row for each label. The rows of one key follow one another, as in an export, so that only one image is
//! in memory, and while the file is checked a hash of each key. Columns are found by their names: `key`, `etag`, `scene`,
//! `name` and `confidence` are needed; `bucket`, `rank`, `first_category`, `second_category`, `size` and `tagged_at` are
//! used if they are there; others have no effect. A row whose `name` is empty says that the scene was answered without
//! labels.

mod error;
mod row;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read};
use std::path::Path;

use csv::StringRecord;

pub use self::error::Error;
use self::row::{Columns, Row, shown};
use crate::label::{Label, Labels};
use crate::object::ETag;
use crate::scene::{Scene, Scenes};
use crate::time::UnixSeconds;

/// The most labels of one scene of an image that can be stored.
const LABELS_MAX: usize = 63;

/// The most buckets that are told apart.
const BUCKETS_MAX: usize = 1_000;

/// The labels of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The number of its first line, from 1.
    pub line: u64,
    /// The bucket; empty if the file has no such column.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The `ETag`; `None` if the cell is empty, as for an image of a list of URLs.
    pub etag: Option<ETag>,
    /// The size in bytes; `None` if the file does not have it.
    pub size: Option<u64>,
    /// When it was labelled; `None` if the file does not say so.
    pub tagged_at: Option<UnixSeconds>,
    /// The scenes that are labelled.
    pub scenes: Scenes,
    /// The labels by scene and rank. Ranks are consecutive.
    pub labels: Labels,
}

/// What a file has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// The images.
    pub images: u64,
    /// How many of them have no `ETag`.
    pub without_etag: u64,
    /// Rows of an export of changes that stand for keys without labels.
    pub deleted: u64,
    /// The images of each bucket.
    pub buckets: BTreeMap<String, u64>,
}

/// An open file.
pub struct Images {
    file: String,
    csv: csv::Reader<Box<dyn Read>>,
    columns: Columns,
    /// The first row of the next image, which was read to find the end of the one before.
    ahead: Option<Row>,
    deleted: u64,
}

impl Images {
    /// Opens a file and reads its header. A name that ends in `.gz` or `.zst` is decompressed.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Header`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let read = |source| Error::Read { file: file.clone(), source };
        let bytes = File::open(path).map_err(read)?;
        let is = |ending: &str| {
            path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
        };
        let bytes: Box<dyn Read> = if is("gz") {
            Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(bytes)))
        } else if is("zst") {
            Box::new(zstd::Decoder::new(bytes).map_err(read)?)
        } else {
            Box::new(bytes)
        };
        Self::read(bytes, file)
    }

    /// Reads the header of a file that is open already and is not compressed. `file` is its name for messages.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Header`].
    pub fn read(bytes: Box<dyn Read>, file: String) -> Result<Self, Error> {
        let mut csv = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        let mut header = StringRecord::new();
        let found = csv.read_record(&mut header).map_err(|error| sorted(&file, error))?;
        if !found {
            return Err(Error::Header { file, what: "is empty".to_owned() });
        }
        let columns = Columns::of(&header, &file)?;
        Ok(Self { file, csv, columns, ahead: None, deleted: 0 })
    }

    /// Reads the whole file, checks it, and sums it up.
    ///
    /// # Errors
    /// [`Error::Read`], and [`Error::Row`] for the first row that cannot be used, also if the rows of a key do not follow one
    /// another.
    pub fn sum_up(mut self, mut continues: impl FnMut() -> bool) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        // A hash of each key takes little memory, and two keys have the same one with a chance of 2⁻⁶⁴.
        let mut seen: HashSet<u64> = HashSet::new();
        while continues() {
            let Some(image) = self.next_image()? else { break };
            let mut hasher = DefaultHasher::new();
            (&image.bucket, &image.key).hash(&mut hasher);
            if !seen.insert(hasher.finish()) {
                return Err(self.wrong(
                    image.line,
                    format!(
                        "has the key {:?} again: all rows of a key have to follow one another",
                        shown(&image.key)
                    ),
                ));
            }
            summary.images += 1;
            summary.without_etag += u64::from(image.etag.is_none());
            if summary.buckets.len() < BUCKETS_MAX || summary.buckets.contains_key(&image.bucket) {
                *summary.buckets.entry(image.bucket).or_default() += 1;
            }
        }
        summary.deleted = self.deleted;
        Ok(summary)
    }

    /// Whether the file names the bucket of each key.
    pub fn names_buckets(&self) -> bool {
        self.columns.bucket.is_some()
    }

    /// Reads the next image. Returns `None` at the end of the file.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Row`].
    pub fn next_image(&mut self) -> Result<Option<Image>, Error> {
        let first = match self.ahead.take() {
            Some(row) => row,
            None => match self.next_row()? {
                Some(row) => row,
                None => return Ok(None),
            },
        };
        let mut rows = vec![first];
        while let Some(row) = self.next_row()? {
            let first = &rows[0];
            if (&row.bucket, &row.key) != (&first.bucket, &first.key) {
                self.ahead = Some(row);
                break;
            }
            if row.etag != first.etag || row.size != first.size {
                return Err(self.wrong(
                    row.line,
                    "has another etag or size than the row before it, for the same key",
                ));
            }
            if rows.len() >= Scene::ALL.len() * LABELS_MAX {
                return Err(self.wrong(row.line, "is one label too many for its key"));
            }
            rows.push(row);
        }
        self.image(rows).map(Some)
    }

    fn image(&self, mut rows: Vec<Row>) -> Result<Image, Error> {
        let line = rows.first().map_or(0, |row| row.line);
        // Rows without a rank stay in the order of the file.
        rows.sort_by_key(|row| (row.scene.id(), row.rank.unwrap_or(u32::MAX)));
        let mut scenes = Scenes::NONE;
        let mut labels = Labels::default();
        for of_scene in rows.chunk_by(|a, b| a.scene == b.scene) {
            let [first, ..] = of_scene else { continue };
            scenes = scenes.union(first.scene.into());
            if of_scene.len() > LABELS_MAX {
                let what = format!("is in a scene with more than {LABELS_MAX} labels");
                return Err(self.wrong(first.line, what));
            }
            if let [only] = of_scene
                && only.name.is_empty()
            {
                continue;
            }
            for (rank, row) in (1..).zip(of_scene) {
                if row.name.is_empty() {
                    return Err(self.wrong(
                        row.line,
                        "has no name, and other rows of its key and scene have one",
                    ));
                }
                labels.push(Label {
                    scene: row.scene,
                    rank,
                    name: &row.name,
                    first_category: &row.first_category,
                    second_category: &row.second_category,
                    confidence: row.confidence,
                });
            }
        }
        let tagged_at = rows.iter().filter_map(|row| row.tagged_at).max();
        let first = rows.swap_remove(0);
        Ok(Image {
            line,
            bucket: first.bucket,
            key: first.key,
            etag: ETag::new(&first.etag),
            size: first.size,
            tagged_at,
            scenes,
            labels,
        })
    }

    fn next_row(&mut self) -> Result<Option<Row>, Error> {
        let mut record = StringRecord::new();
        loop {
            if !self.csv.read_record(&mut record).map_err(|error| sorted(&self.file, error))? {
                return Ok(None);
            }
            let is_deleted = self.columns.deleted.is_some_and(|at| record[at].trim() == "true");
            if !is_deleted {
                let line = record.position().map_or(0, csv::Position::line);
                return Row::read(&self.columns, &record, line)
                    .map(Some)
                    .map_err(|what| self.wrong(line, what));
            }
            self.deleted += 1;
        }
    }

    fn wrong(&self, line: u64, what: impl Into<String>) -> Error {
        Error::Row { file: self.file.clone(), line, what: what.into() }
    }
}

/// Sorts an error of the CSV: the file cannot be read, or a row is not one.
fn sorted(file: &str, error: csv::Error) -> Error {
    let file = file.to_owned();
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::Read { file, source },
        csv::ErrorKind::Utf8 { .. } => Error::Row { file, line, what: "is not UTF-8".to_owned() },
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => Error::Row {
            file,
            line,
            what: format!("has {len} cells, and the first line has {expected_len}"),
        },
        _ => Error::Row { file, line, what: "is not CSV".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(text: &str) -> Result<Vec<Image>, Error> {
        let bytes = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
        let mut images = Images::read(bytes, "labels.csv".to_owned())?;
        let mut all = Vec::new();
        while let Some(image) = images.next_image()? {
            all.push(image);
        }
        Ok(all)
    }

    fn sum_up(text: &str) -> Result<Summary, Error> {
        let bytes = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
        Images::read(bytes, "labels.csv".to_owned())?.sum_up(|| true)
    }

    fn label(scene: Scene, rank: u32, name: &str, confidence: u8) -> Label<'_> {
        Label { scene, rank, name, first_category: "", second_category: "", confidence }
    }

    #[test]
    fn a_script_needs_five_columns_in_any_order() {
        let all = images(
            "name,confidence,key,etag,scene\ncat,90,a.jpg,\"\"\"e-1\"\"\",camera\ndog,20,a.jpg,e-1,camera\n,,b.jpg,e-2,web\n",
        )
        .unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].key.as_str(), all[0].etag.clone()), ("a.jpg", ETag::new("e-1")));
        let labels: Vec<_> = all[0].labels.iter().collect();
        assert_eq!(
            labels,
            [label(Scene::Camera, 1, "cat", 90), label(Scene::Camera, 2, "dog", 20)]
        );
        assert_eq!((all[1].scenes, all[1].labels.len()), (Scene::Web.into(), 0));
    }

    #[test]
    fn ranks_are_made_consecutive_in_each_scene() {
        let all = images(
            "\u{feff}key,etag,scene,rank,name,confidence,size,tagged_at,deleted,other\r\n\
             a,e,web,7,second,10,5,1970-01-01T00:00:09Z,false,x\r\na,e,camera,1,first,30,5,1970-01-01T00:00:10Z,false,\r\n\
             a,e,web,3,first,20,5,1970-01-01T00:00:09Z,false,\r\nb,,,,,,,,true,\r\n",
        )
        .unwrap();
        assert_eq!(all.len(), 1);
        let labels: Vec<_> = all[0].labels.iter().collect();
        let expected = [
            label(Scene::Camera, 1, "first", 30),
            label(Scene::Web, 1, "first", 20),
            label(Scene::Web, 2, "second", 10),
        ];
        assert_eq!(labels, expected);
        assert_eq!((all[0].size, all[0].tagged_at), (Some(5), Some(UnixSeconds(10))));
    }

    #[test]
    fn rows_that_cannot_be_used_are_named_with_their_line() {
        for (rows, told) in [
            ("a,e,camera,cat,101", "line 2 of labels.csv has no confidence from 0 to 100"),
            ("a,e,camera,cat,", "has no confidence"),
            ("a,e,camera,cat,9.5", "which is no whole number"),
            ("a,e,kamera,cat,9", "has the scene \"kamera\""),
            (",e,camera,cat,9", "has no key"),
            ("a,e,camera,cat,9\na,f,camera,dog,9", "line 3 of labels.csv has another etag"),
            ("a,e,camera,cat,9\na,e,camera,,", "line 3 of labels.csv has no name"),
            ("a,e,camera,cat", "line 2 of labels.csv has 4 cells, and the first line has 5"),
        ] {
            let error = images(&format!("key,etag,scene,name,confidence\n{rows}\n")).unwrap_err();
            assert!(error.to_string().contains(told), "{rows}: {error}");
        }
        let many = "a,e,camera,cat,9\n".repeat(64);
        let error = images(&format!("key,etag,scene,name,confidence\n{many}")).unwrap_err();
        assert!(error.to_string().contains("more than 63 labels"), "{error}");
        let error =
            sum_up("key,etag,scene,name,confidence\na,e,web,x,1\nb,e,web,x,1\na,e,web,y,1\n");
        assert!(error.unwrap_err().to_string().contains("has the key \"a\" again"));
        for (header, told) in [
            ("", "is empty"),
            ("key,etag,name,confidence\n", "has no column scene"),
            ("bucket,key,album,camera,news,web,etag\n", "a row for each label"),
        ] {
            let error = images(header).unwrap_err();
            assert!(error.to_string().contains(told), "{header}: {error}");
        }
    }

    #[test]
    fn a_file_is_summed_up_by_bucket() {
        let summary = sum_up(
            "bucket,key,etag,scene,name,confidence\nx,a,e,web,n,1\nx,a,e,web,m,1\ny,a,e,web,n,1\nx,b,,web,n,1\n",
        )
        .unwrap();
        assert_eq!((summary.images, summary.without_etag), (3, 1));
        assert_eq!(
            summary.buckets.into_iter().collect::<Vec<_>>(),
            [("x".into(), 2), ("y".into(), 1)]
        );
    }
}
