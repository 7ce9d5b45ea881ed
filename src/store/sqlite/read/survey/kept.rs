//! A survey from the kept counts. Only samples, and what stands beside a label, come from images that are read, and those
//! are few.

use std::collections::HashMap;

use super::prefixes::PrefixTree;
use super::tally::{Found, Tally};
use super::{Move, Stop, Surveyor, unnamed};
use crate::scene::Scenes;
use crate::store::read::{BucketPrefixes, ImageCounts, ImageState, ObjectCounts, Survey};
use crate::store::sqlite::count::{Counter, Facts, Kind, Place, Sums};
use crate::store::sqlite::posting::SHIFT;
use crate::store::sqlite::rows::LabelId;
use crate::store::sqlite::sql::{FAILED, statements};

statements! {
    LAST_CONTENT = "SELECT coalesce(max(id), 0) FROM content";

    CONTENTS_FROM = "
        SELECT id, present, skipped, state = {FAILED}, scenes_done FROM content
        WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3";

    LABELS_OF_CONTENT = "SELECT id, mark FROM label WHERE id BETWEEN ?1 AND ?2";

    PREFIXES = "SELECT id, bucket_id, prefix FROM prefix ORDER BY bucket_id, prefix";
}

/// With more images than these, only some of them are read.
const READ_ALL: u64 = if cfg!(test) { 12 } else { 20_000 };

/// From how many places of the bucket images are read then, and how many at each place.
const PLACES: i64 = if cfg!(test) { 6 } else { 500 };
const AT_PLACE: i64 = if cfg!(test) { 1 } else { 20 };

/// How many more images with a label are read if the others have too few samples of it.
const MORE: usize = 100;

/// If the last listing moved more than one image in this many, reading every row is no slower than reading those.
const FEW_MOVED: u64 = 4;

/// A content, as far as it matters here.
#[derive(Debug, Clone, Copy)]
struct Content {
    id: i64,
    facts: Facts,
}

impl Surveyor<'_> {
    /// Makes the survey of the kept counts. Returns `None` if they are not kept, or do not have all that it takes.
    pub(super) fn of_counts(&self) -> Result<Option<Survey>, Stop> {
        let Some(sums) = self.read_sums()? else { return Ok(None) };
        let Some(prefixes) = self.counted_prefixes(&sums)? else { return Ok(None) };
        let states = ImageState::ALL.map(|state| sums.get(Counter::of(Kind::of_state(state))));
        let all_images: u64 = states.iter().sum();
        let (changes, moves) = self.journal()?;
        if moves.len() as u64 * FEW_MOVED > all_images.max(READ_ALL) {
            return Ok(None);
        }
        let mut tally = Tally::new(self.query, self.dictionary()?, 0);
        self.look_at_some(all_images, &mut tally)?;
        if !tally.replace(&sums) {
            return Err(unnamed());
        }
        self.moved(&moves, &mut tally)?;
        self.more_samples(&mut tally)?;
        let of = |kind| sums.get(Counter::of(kind));
        let [labelled, unlabelled, given_up, waiting] = states;
        let images =
            ImageCounts { labelled, unlabelled, given_up, waiting, failed: of(Kind::Failed) };
        let wanted = prefixes.iter().map(|bucket| bucket.root.objects).sum::<u64>();
        let objects = ObjectCounts {
            present: of(Kind::Present),
            skipped: of(Kind::Skipped),
            wanted,
            copies: wanted.saturating_sub(of(Kind::Wanted)),
            gone: of(Kind::Gone),
        };
        let failures = self.failures(|row| Ok(row.get::<_, i64>(4)? > row.get(5)?))?;
        let lines = self.lines()?;
        let found = self.finished(tally)?;
        Ok(Some(Survey { images, objects, prefixes, failures, lines, changes, ..found }))
    }

    fn read_sums(&self) -> Result<Option<Sums>, Stop> {
        self.read(|_| self.reader.kept_sums())
    }

    /// The prefixes of each bucket. Returns `None` if a bucket has prefixes that are not counted by themselves.
    fn counted_prefixes(&self, sums: &Sums) -> Result<Option<Vec<BucketPrefixes>>, Stop> {
        let mut counted: HashMap<i64, [u64; 2]> = HashMap::new();
        for (counter, count) in sums.others.iter().filter(|(c, _)| c.kind() == Kind::Prefix) {
            let (Place { prefix_id, is_other }, labelled) = counter.place();
            let count = u64::try_from(*count).unwrap_or_default();
            if is_other && count > 0 {
                return Ok(None);
            }
            counted.entry(prefix_id).or_default()[usize::from(labelled)] += count;
        }
        let mut trees: HashMap<i64, PrefixTree> = HashMap::new();
        let buckets = self.buckets()?;
        for (id, _, urls) in &buckets {
            trees.insert(*id, PrefixTree::new(*urls));
        }
        let mut statement = self.read(|connection| connection.prepare_cached(&PREFIXES))?;
        let mut rows = self.read(|_| statement.query([]))?;
        self.each(&mut rows, |row| {
            let [objects, labelled] = counted.get(&row.get(0)?).copied().unwrap_or_default();
            if let Some(tree) = trees.get_mut(&row.get(1)?).filter(|_| objects > 0) {
                tree.add(row.get_ref(2)?.as_str()?, objects, labelled);
            }
            Ok(())
        })?;
        let prefixes = buckets.into_iter().filter_map(|(id, bucket, urls)| {
            Some(BucketPrefixes { bucket, urls, root: trees.remove(&id)?.finish() })
        });
        Ok(Some(super::most_first(prefixes)))
    }

    /// Reads images from places all over the bucket, for samples and for what stands beside a label.
    fn look_at_some(&self, images: u64, tally: &mut Tally) -> Result<(), Stop> {
        let last: i64 =
            self.read(|connection| connection.query_row(&LAST_CONTENT, [], |row| row.get(0)))?;
        let (places, most) = if images > READ_ALL { (PLACES, AT_PLACE) } else { (1, i64::MAX) };
        let step = (last / places).saturating_add(1);
        for place in 0..places {
            let first = place.saturating_mul(step);
            for content in self.contents_from(first, first.saturating_add(step - 1), most)? {
                self.look_at(content, tally)?;
            }
        }
        Ok(())
    }

    fn look_at(&self, content: Content, tally: &mut Tally) -> Result<(), Stop> {
        let mut found = self.labels_of(content)?;
        if content.facts.is_image()
            && !found.is_empty()
            && !tally.image(content.id, &mut found, false)
        {
            return Err(unnamed());
        }
        Ok(())
    }

    /// Reads images with a label of which there are too few samples.
    fn more_samples(&self, tally: &mut Tally) -> Result<(), Stop> {
        for tag_id in tally.lacking() {
            let blocks = self.read(|_| self.reader.blocks_of(&[tag_id]))?;
            for block in blocks.into_iter().flatten().take(MORE) {
                let first = block << SHIFT;
                for content in self.contents_from(first, first + (1 << SHIFT) - 1, i64::MAX)? {
                    let mut found = self.labels_of(content)?;
                    if content.facts.is_image() {
                        tally.sample(content.id, &mut found, tag_id);
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts the labels of images that came or went with the last listing.
    fn moved(&self, moves: &HashMap<i64, Move>, tally: &mut Tally) -> Result<(), Stop> {
        for (id, change) in moves {
            for content in self.contents_from(*id, *id, 1)? {
                let change = Move { now: content.facts.present, ..*change };
                let mut found = self.labels_of(content)?;
                if change.came() && content.facts.is_image() {
                    tally.came(&mut found);
                } else if change.went() {
                    tally.went(&mut found);
                }
            }
        }
        Ok(())
    }

    fn contents_from(&self, first: i64, last: i64, most: i64) -> Result<Vec<Content>, Stop> {
        if !(self.continues)() {
            return Err(Stop::Unwanted);
        }
        self.read(|connection| {
            connection
                .prepare_cached(&CONTENTS_FROM)?
                .query_map((first, last, most), |row| {
                    let facts = Facts {
                        present: row.get(1)?,
                        skipped: row.get(2)?,
                        failed: row.get(3)?,
                        done: Scenes::from_bits(row.get(4)?),
                    };
                    Ok(Content { id: row.get(0)?, facts })
                })?
                .collect()
        })
    }

    fn labels_of(&self, content: Content) -> Result<Vec<Found>, Stop> {
        let ids = LabelId::of_content(content.id);
        self.read(|connection| {
            let mut labels = connection.prepare_cached(&LABELS_OF_CONTENT)?;
            let mut rows = labels.query((ids.start(), ids.end()))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.extend(Found::of(row.get(0)?, row.get(1)?, content.facts.done));
            }
            Ok(found)
        })
    }
}
