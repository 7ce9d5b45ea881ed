//! Imports: labels from a file, for contents that nobody has paid for in this database.
//!
//! An import is a row of `run` without ranges and calls, so that its changes have a number for increments. It never touches
//! labels that are there.

use rusqlite::OptionalExtension as _;

use super::Session;
use super::identities::Found;
use crate::label::{Label, Labels};
use crate::scene::{Scene, Scenes};
use crate::store::Error;
use crate::store::ident::Identity;
use crate::store::run::{BegunRun, NewImport};
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::rows::{EtagColumn, LabelId, Mark, Size, StoredEtag};
use crate::store::sqlite::sql::{DONE, IMPORT, IMPORTED, KEYS, RUNNING, change_of, statements};
use crate::store::turn::{Imported, ImportedImage};
use crate::time::UnixMillis;

statements! {
    FIND_BUCKET_OF_KEYS = "SELECT id FROM bucket WHERE name = ?1 AND kind = '{KEYS}'";

    INSERT_IMPORT = "
        INSERT INTO run (bucket_id, source, prefix, eligibility, state, settings, journals, plan, tool_version,
                         started_at)
        VALUES (?1, '{KEYS}', '', 0, '{RUNNING}', ?2, 0, {IMPORT}, ?3, ?4)";

    FIND_KEY = "
        SELECT object.id, content.id, scenes_done, etag, size
        FROM object JOIN content ON content.id = content_id
        WHERE bucket_id = ?1 AND key = ?2";

    READ_BYTES = "SELECT identity, etag, size, scenes_done FROM content WHERE id = ?1";

    /// Inserts a content that no object has.
    INSERT_WAITING = "
        INSERT INTO content (id, etag, size, scenes_wanted, state, run_id, present)
        VALUES (?1, ?2, ?3, 0, {DONE}, ?4, 0)";

    READ_LABELS_OF_SCENE = "
        SELECT name, first_category, second_category, mark
        FROM label JOIN tag ON tag.id = label.tag_id
        WHERE label.id BETWEEN ?1 AND ?2 ORDER BY label.id";

    INSERT_ONE_LABEL = "INSERT INTO label (id, mark) VALUES (?1, ?2)";

    /// Notes that the content `?1` has labels of the scenes `?2` from the key `?4`. If it lacks no scene that somebody
    /// wants, it leaves the queue, or is no longer failed. Labels that are there keep their key and their time: both say
    /// whether a call for them met an overwrite, which an import does not change.
    NOTE_IMPORTED = "
        UPDATE content SET scenes_done = scenes_done | ?2, labels_run = {change},
               tagged_at = iif(scenes_done, tagged_at, ?5),
               object_id = iif(scenes_done, object_id, ?4),
               state = iif((scenes_wanted & ~(scenes_done | ?2)) | scenes_redo, state, {DONE}),
               run_id = iif((scenes_wanted & ~(scenes_done | ?2)) | scenes_redo, run_id, ?3),
               error_kind = iif((scenes_wanted & ~(scenes_done | ?2)) | scenes_redo, error_kind, 0)
        WHERE id = ?1", change = change_of("?3");

    INSERT_IMPORTED = "
        INSERT INTO call (run_id, content_id, object_id, scenes, ended_at, outcome)
        VALUES (?1, ?2, ?3, ?4, ?5, {IMPORTED})";
}

/// The content of an image of a file.
#[derive(Debug, Clone, Copy)]
struct Target {
    content_id: i64,
    /// The key of the image; `None` if it was not listed.
    object_id: Option<i64>,
    done: Scenes,
}

/// What is known of the key of an image.
#[derive(Debug, Clone, Copy)]
enum Listed {
    /// It was not listed, or was never wanted.
    No,
    /// It has the bytes of the image.
    Content(Target),
    /// It has other bytes.
    OtherBytes,
}

impl Store {
    /// Finds the bucket of this name whose keys were listed, or were planned to be. `None` if there is none.
    pub fn bucket_of_keys(&self, name: &str) -> Result<Option<i64>, Error> {
        self.connection
            .query_row(&FIND_BUCKET_OF_KEYS, [name], |row| row.get(0))
            .optional()
            .map_err(|source| sorted(&self.path, source))
    }

    /// Writes the row of an import.
    pub fn begin_import(&mut self, new: &NewImport) -> Result<BegunRun, Error> {
        let settings = serde_json::json!({ "import": new.file }).to_string();
        let version = env!("CARGO_PKG_VERSION");
        self.connection
            .execute(&INSERT_IMPORT, (new.bucket_id, settings, version, new.started_at))
            .map_err(|source| sorted(&self.path, source))?;
        let id = self.connection.last_insert_rowid();
        Ok(BegunRun { id, bucket_id: new.bucket_id, journals: false })
    }
}

impl Session {
    /// Stores the labels of an image for the scenes that its content lacks.
    pub(super) fn import(
        &mut self,
        image: &ImportedImage,
        now: UnixMillis,
    ) -> Result<Imported, Error> {
        let target = match self.find_listed(image)? {
            Listed::OtherBytes => return Ok(Imported::OtherBytes),
            Listed::Content(target) => target,
            Listed::No => match self.find_unlisted(image)? {
                Some(target) => target,
                None => return Ok(Imported::Unknown),
            },
        };
        let stored = image.scenes.without(target.done);
        let mut same = Scenes::NONE;
        let mut different = Scenes::NONE;
        for scene in image.scenes.without(stored).iter() {
            if self.has_same_labels(target.content_id, scene, &image.labels)? {
                same = same.union(scene.into());
            } else {
                different = different.union(scene.into());
            }
        }
        if !stored.is_empty() {
            self.counting_anew(target.content_id, |session| {
                session.keep_imported(target, stored, image, now)
            })?;
            self.counts.done += 1;
        }
        Ok(Imported::Compared { stored, same, different, waits: target.object_id.is_none() })
    }

    /// Finds the content of a key that was listed.
    fn find_listed(&self, image: &ImportedImage) -> Result<Listed, Error> {
        let found = self
            .prepare(&FIND_KEY)?
            .query_row((self.run.bucket_id, &image.key), |row| {
                let StoredEtag(etag) = row.get(3)?;
                let size = row.get::<_, Option<Size>>(4)?.map(|Size(size)| size);
                let is_size = image.size.is_none() || size.is_none() || image.size == size;
                if etag.as_ref() != Some(&image.etag) || !is_size {
                    return Ok(Listed::OtherBytes);
                }
                Ok(Listed::Content(Target {
                    object_id: Some(row.get(0)?),
                    content_id: row.get(1)?,
                    done: Scenes::from_bits(row.get(2)?),
                }))
            })
            .optional()
            .map_err(|source| self.error(source))?;
        Ok(found.unwrap_or(Listed::No))
    }

    /// Finds the content of these bytes, or makes one that waits for a key. Returns `None` if the size is unknown.
    fn find_unlisted(&mut self, image: &ImportedImage) -> Result<Option<Target>, Error> {
        let Some(size) = image.size else { return Ok(None) };
        let identity = Identity::Bytes { etag: &image.etag, size };
        let found = self.identities(|identities, connection| {
            identities.find(connection, identity.hash(), |id| {
                connection
                    .prepare_cached(&READ_BYTES)?
                    .query_row([id], |row| {
                        let is_same = row.get::<_, Option<String>>(0)?.is_none()
                            && row.get::<_, StoredEtag>(1)?.0.as_ref() == Some(&image.etag)
                            && row.get::<_, Option<Size>>(2)? == Some(Size(size));
                        let done = Scenes::from_bits(row.get(3)?);
                        Ok(is_same.then_some(Target { content_id: id, object_id: None, done }))
                    })
                    .optional()
                    .map(Option::flatten)
            })
        })?;
        let hash = match found {
            Found::Content(target) => return Ok(Some(target)),
            Found::Free(hash) => hash,
        };
        let id = self.next_number()?;
        self.execute(&INSERT_WAITING, (id, EtagColumn(&image.etag), Size(size), self.run.id))?;
        self.identities(|identities, connection| identities.add(connection, hash, id, true))?;
        Ok(Some(Target { content_id: id, object_id: None, done: Scenes::NONE }))
    }

    fn has_same_labels(
        &self,
        content_id: i64,
        scene: Scene,
        labels: &Labels,
    ) -> Result<bool, Error> {
        let ids = LabelId::of_scene(content_id, scene);
        let compare = || {
            let mut statement = self.store.connection.prepare_cached(&READ_LABELS_OF_SCENE)?;
            let mut rows = statement.query((ids.start(), ids.end()))?;
            for label in labels.iter().filter(|label| label.scene == scene) {
                let Some(row) = rows.next()? else { return Ok(false) };
                let confidence = Mark::confidence(row.get(3)?);
                if row.get_ref(0)?.as_str()? != label.name
                    || row.get_ref(1)?.as_str()? != label.first_category
                    || row.get_ref(2)?.as_str()? != label.second_category
                    || confidence != label.confidence
                {
                    return Ok(false);
                }
            }
            Ok(rows.next()?.is_none())
        };
        compare().map_err(|source| self.error(source))
    }

    fn keep_imported(
        &mut self,
        target: Target,
        scenes: Scenes,
        image: &ImportedImage,
        now: UnixMillis,
    ) -> Result<(), Error> {
        let Target { content_id, object_id, .. } = target;
        let stored = |label: &Label<'_>| scenes.contains(label.scene);
        for label in image.labels.iter().filter(stored) {
            let tag_id = self.tag(label)?;
            let id = LabelId::new(content_id, label.scene, label.rank).number();
            let mark = Mark::new(tag_id, label.confidence).number();
            self.execute(&INSERT_ONE_LABEL, (id, mark))?;
            self.counts.labels += 1;
        }
        self.execute(
            &NOTE_IMPORTED,
            (content_id, scenes.bits(), self.run.id, object_id, image.tagged_at),
        )?;
        let row = (self.run.id, content_id, object_id, scenes.bits(), now);
        let id = self.insert(&INSERT_IMPORTED, row)?;
        self.caches.ledger.written(id);
        Ok(())
    }
}
