//! The numbers behind each choice when nothing is chosen yet: they are kept, so nothing has to be counted.

use std::collections::{BTreeMap, HashMap};

use super::Dictionary;
use super::facets::{DAY, month, next_level, ranked};
use crate::scene::{Scene, Scenes};
use crate::store::read::{Facets, ImageState, LabelFacet, Pick};
use crate::store::sqlite::Reader;
use crate::store::sqlite::count::{Counter, Kind, SAME_NAME, Sums};
use crate::store::sqlite::read::ReadTransaction;
use crate::time::UnixMillis;

impl Reader {
    /// Reads the facets of all images from the kept counts. Returns `None` if the database keeps none.
    ///
    /// Prefixes and months count keys, so an image with several keys in one of them counts for each.
    pub(super) fn kept_facets(&self) -> rusqlite::Result<Option<Facets>> {
        let _snapshot = ReadTransaction::begin(&self.connection)?;
        let Some(sums) = self.kept_sums()? else { return Ok(None) };
        let dictionary = self.names()?;
        let states: BTreeMap<ImageState, u64> = ImageState::ALL
            .into_iter()
            .map(|state| (state, sums.get(Counter::of(Kind::of_state(state)))))
            .filter(|(_, images)| *images > 0)
            .collect();
        let of_scene = |scene: Scene| sums.get(Counter::new(Kind::Scene, scene.id().into()));
        let category = dictionary.first_categories();
        let mut names: HashMap<&str, i64> = HashMap::new();
        for (row, counts) in &sums.labels {
            let (tag_id, slot) = Counter::tag_and_slot(*row);
            let Some((name, _)) = dictionary.tags.get(&tag_id) else { continue };
            let images: i64 = counts.iter().sum();
            // A label that the image has by the same name already does not make it another image.
            let images = match slot {
                SAME_NAME => -images,
                slot if Scene::from_id(slot).is_some() => images,
                _ => 0,
            };
            *names.entry(name).or_default() += images;
        }
        let mut labels: Vec<LabelFacet> = names
            .into_iter()
            .map(|(name, images)| LabelFacet {
                name: name.to_owned(),
                first_category: category.get(name).copied().unwrap_or_default().to_owned(),
                images: u64::try_from(images).unwrap_or_default(),
            })
            .filter(|label| label.images > 0)
            .collect();
        labels.sort_by(|a, b| b.images.cmp(&a.images).then_with(|| a.name.cmp(&b.name)));
        let mut categories: HashMap<String, u64> = HashMap::new();
        let mut months: BTreeMap<i32, u64> = BTreeMap::new();
        let mut confidence = [0; 10];
        for (counter, count) in &sums.others {
            let count = u64::try_from(*count).unwrap_or_default();
            if count == 0 {
                continue;
            }
            match counter.kind() {
                Kind::First => {
                    if let Some((_, category)) = dictionary.tags.get(&counter.key()) {
                        *categories.entry(category.clone()).or_default() += count;
                    }
                }
                Kind::Day => {
                    if let Some(day) = counter.day_number() {
                        *months.entry(month(UnixMillis(day * DAY))).or_default() += count;
                    }
                }
                Kind::Best => {
                    for (least, images) in (0..).step_by(10).zip(&mut confidence) {
                        *images += if counter.key() >= least { count } else { 0 };
                    }
                }
                _ => {}
            }
        }
        // Every image reaches 0, also without a label.
        confidence[0] = states.values().sum();
        Ok(Some(Facets {
            images: states.values().sum(),
            scenes: Scene::ALL.into_iter().map(|scene| (scene, of_scene(scene))).collect(),
            categories: ranked(categories),
            labels,
            confidence,
            prefixes: ranked(self.first_prefixes(&sums)?),
            months,
            states,
            counts_keys: true,
            complete: true,
            is_total: true,
        }))
    }

    /// The number of images behind one choice, or behind a label that reaches a confidence. Returns `None` for any other
    /// choices, and if the counts are not kept.
    pub(in crate::store::sqlite) fn kept_images(
        &self,
        pick: &Pick,
    ) -> rusqlite::Result<Option<u64>> {
        let one_label = match (pick.all.as_slice(), pick.any.as_slice()) {
            ([name], []) | ([], [name]) => Some(name),
            ([], []) => None,
            _ => return Ok(None),
        };
        let scene = pick.scenes.iter().next();
        let least = pick.min_confidence;
        // What is left of the pick must be open.
        let rest = Pick {
            all: Vec::new(),
            any: Vec::new(),
            category: None,
            scenes: Scenes::NONE,
            min_confidence: 0,
            state: None,
            ..pick.clone()
        };
        if rest != Pick::default() || pick.scenes.iter().count() > 1 {
            return Ok(None);
        }
        let _snapshot = ReadTransaction::begin(&self.connection)?;
        let Some(sums) = self.kept_sums()? else { return Ok(None) };
        let dictionary = self.names()?;
        let kept = |counter| Some(sums.get(counter));
        Ok(match (one_label, &pick.category, scene, least, pick.state) {
            (Some(name), None, None, least, None) => {
                Some(images_with(name, least, &sums, &dictionary))
            }
            (None, Some(category), None, 0, None) => {
                let tags = dictionary.tags.iter().filter(|(_, (_, first))| first == category);
                tags.map(|(tag_id, _)| *tag_id)
                    .min()
                    .map(|first| sums.get(Counter::new(Kind::First, first)))
            }
            (None, None, Some(scene), 0, None) => {
                kept(Counter::new(Kind::Scene, scene.id().into()))
            }
            (None, None, None, 0, Some(state)) => kept(Counter::of(Kind::of_state(state))),
            (None, None, None, least, None) if least > 0 => {
                let reach = i64::from(least)..=i64::from(i8::MAX);
                Some(reach.map(|best| sums.get(Counter::new(Kind::Best, best))).sum())
            }
            _ => None,
        })
    }

    /// Counts the keys below each prefix of one level.
    fn first_prefixes(&self, sums: &Sums) -> rusqlite::Result<HashMap<String, u64>> {
        let mut below: HashMap<i64, u64> = HashMap::new();
        for (counter, count) in sums.others.iter().filter(|(c, _)| c.kind() == Kind::Prefix) {
            if let (place, false) = counter.place() {
                let count = u64::try_from(*count).unwrap_or_default();
                *below.entry(place.prefix_id).or_default() += count;
            }
        }
        let mut prefixes = HashMap::new();
        let mut read = self.connection.prepare_cached("SELECT id, prefix FROM prefix")?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            let objects = below.get(&row.get(0)?).copied().unwrap_or_default();
            if let Some(first) = next_level(row.get_ref(1)?.as_str()?, 0).filter(|_| objects > 0) {
                *prefixes.entry(first.to_owned()).or_default() += objects;
            }
        }
        Ok(prefixes)
    }
}

/// The number of images that have a label of this name with at least this confidence.
fn images_with(name: &str, least: u8, sums: &Sums, dictionary: &Dictionary) -> u64 {
    let mut images = 0_i64;
    for (row, counts) in &sums.labels {
        let (tag_id, slot) = Counter::tag_and_slot(*row);
        if dictionary.tags.get(&tag_id).is_none_or(|(found, _)| found != name) {
            continue;
        }
        let reach: i64 = counts.iter().skip(least.into()).sum();
        // A label that the image has by the same name already, and with a higher confidence, does not make it another image.
        images += match slot {
            SAME_NAME => -reach,
            slot if Scene::from_id(slot).is_some() => reach,
            _ => 0,
        };
    }
    u64::try_from(images).unwrap_or_default()
}
