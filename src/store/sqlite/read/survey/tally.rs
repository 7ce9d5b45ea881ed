//! Adds up the labels of images, one image at a time.

use std::collections::HashMap;

use crate::scene::{Scene, Scenes};
use crate::store::read::{CategoryCount, LabelCount, SurveyQuery, UNCERTAIN_BELOW};
use crate::store::sqlite::count::{Counter, Kind, SAME_TAG, Sums as Counts};
use crate::store::sqlite::rows::{LabelId, Mark};

/// In about this many images it is counted which labels stand beside each other.
const PAIRED: u64 = 10_000;

/// How many labels beside a label are told.
const BESIDE: usize = 3;

/// A label is told beside another if both stand in at least this many of the images in which that is counted.
const OFTEN: u32 = 2;

/// A label of an image: the tag, its highest confidence, and the scenes that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    tag_id: i64,
    confidence: u8,
    scenes: u8,
}

impl Found {
    /// The label in a row; `None` if its scene is not done, so that the label waits to be replaced.
    pub(super) fn of(id: i64, mark: i64, done: Scenes) -> Option<Self> {
        let scene = Scene::from_id(LabelId::scene(id)).filter(|scene| done.contains(*scene))?;
        let (tag_id, confidence) = (Mark::tag_id(mark), Mark::confidence(mark));
        Some(Self { tag_id, confidence, scenes: Scenes::from(scene).bits() })
    }
}

/// A row of the dictionary, and the sums over the images that have it.
#[derive(Debug)]
struct Tag {
    name: String,
    /// The places of the categories in [`Tally::first`] and [`Tally::second`].
    first: usize,
    second: usize,
    images: u64,
    uncertain: u64,
    confidence: u64,
    scenes: u8,
    came: u64,
    went: u64,
    /// The best samples so far: how good each is, and its content. The best is first.
    samples: Vec<(u64, i64)>,
}

/// The number of images that have a category.
#[derive(Debug)]
struct Category {
    name: String,
    /// Of a second category, the place of the first one.
    first: usize,
    images: u64,
}

/// The sums over all images so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    query: SurveyQuery,
    tags: Vec<Tag>,
    /// The places in `tags`, by `tag.id`.
    places: HashMap<i64, usize>,
    first: Vec<Category>,
    second: Vec<Category>,
    confidence: Vec<u64>,
    /// One image of this many is looked at for the labels that stand beside each other.
    stride: u64,
    /// The tags of those images.
    paired: Vec<Vec<usize>>,
    /// Room for the categories of one image.
    scratch: Vec<usize>,
}

/// What [`Tally::finish`] returns.
#[derive(Debug)]
pub(super) struct Sums {
    /// The labels, the most frequent first, without samples.
    pub(super) labels: Vec<LabelCount>,
    /// The contents that are samples of the first labels.
    pub(super) samples: Vec<Vec<i64>>,
    pub(super) categories: Vec<CategoryCount>,
    pub(super) confidence: Vec<u64>,
}

impl Tally {
    /// A tally of nothing. `dictionary` has the id, the name and the two categories of each tag; `contents` is about the
    /// number of contents.
    pub(super) fn new(
        query: SurveyQuery,
        dictionary: impl IntoIterator<Item = (i64, [String; 3])>,
        contents: u64,
    ) -> Self {
        let mut tally = Self { query, confidence: vec![0; 101], ..Self::default() };
        tally.stride = (contents / PAIRED).max(1);
        let mut known: HashMap<(usize, String), usize> = HashMap::new();
        let mut category = |all: &mut Vec<Category>, first: usize, name: String| {
            *known.entry((first, name)).or_insert_with_key(|(_, name)| {
                all.push(Category { name: name.clone(), first, images: 0 });
                all.len() - 1
            })
        };
        for (id, [name, first, second]) in dictionary {
            let first = category(&mut tally.first, usize::MAX, first);
            let second = category(&mut tally.second, first, second);
            tally.places.insert(id, tally.tags.len());
            tally.tags.push(Tag {
                name,
                first,
                second,
                images: 0,
                uncertain: 0,
                confidence: 0,
                scenes: 0,
                came: 0,
                went: 0,
                samples: Vec::new(),
            });
        }
        tally
    }

    /// Adds an image with its labels. `came` is true if the last listing brought it. Returns false if the name of a label
    /// is unknown.
    pub(super) fn image(&mut self, content_id: i64, labels: &mut Vec<Found>, came: bool) -> bool {
        once_each(labels);
        let is_paired = self.query.beside > 0 && mixed(content_id, 1).is_multiple_of(self.stride);
        let mut paired = Vec::new();
        let (mut first, mut second) = (std::mem::take(&mut self.scratch), Vec::new());
        first.clear();
        for label in labels.iter() {
            let Some(place) = self.places.get(&label.tag_id).copied() else { return false };
            let tag = &mut self.tags[place];
            tag.images += 1;
            tag.uncertain += u64::from(label.confidence < UNCERTAIN_BELOW);
            tag.confidence += u64::from(label.confidence);
            tag.scenes |= label.scenes;
            tag.came += u64::from(came);
            if self.query.samples > 0 {
                tag.sample(content_id, label, self.query.samples);
            }
            first.push(tag.first);
            second.push(tag.second);
            if is_paired {
                paired.push(place);
            }
        }
        for (places, all) in [(&mut first, &mut self.first), (&mut second, &mut self.second)] {
            places.sort_unstable();
            places.dedup();
            for place in places.iter() {
                all[*place].images += 1;
            }
        }
        self.scratch = first;
        if is_paired {
            self.paired.push(paired);
        }
        let best = labels.iter().map(|label| usize::from(label.confidence)).max();
        if let Some(count) = best.and_then(|best| self.confidence.get_mut(best.min(100))) {
            *count += 1;
        }
        true
    }

    /// Replaces what was added up by the kept counts; samples, and what stands beside a label, stay. Returns false if the
    /// name of a label is unknown.
    pub(super) fn replace(&mut self, counts: &Counts) -> bool {
        for tag in &mut self.tags {
            (tag.images, tag.uncertain, tag.confidence, tag.scenes) = (0, 0, 0, 0);
        }
        let kept = counts.labels.iter().map(|(row, counts)| (Counter::tag_and_slot(*row), counts));
        // The labels of scenes come before those that several scenes have in common, which are taken off again.
        let mut kept: Vec<_> = kept.filter(|(_, counts)| counts.iter().any(|n| *n > 0)).collect();
        kept.sort_unstable_by_key(|((tag_id, slot), _)| (*tag_id, *slot));
        for ((tag_id, slot), counts) in kept {
            let scene = Scene::from_id(slot);
            if scene.is_none() && slot != SAME_TAG {
                continue;
            }
            let Some(place) = self.places.get(&tag_id).copied() else { return false };
            let tag = &mut self.tags[place];
            tag.scenes |= scene.map_or(0, |scene| Scenes::from(scene).bits());
            for (confidence, images) in (0..).zip(counts.iter()) {
                let images = u64::try_from(*images).unwrap_or_default();
                let uncertain = if confidence < u64::from(UNCERTAIN_BELOW) { images } else { 0 };
                let add = |sum: &mut u64, by| {
                    let (more, less) = if scene.is_some() { (by, 0) } else { (0, by) };
                    *sum = (*sum + more).saturating_sub(less);
                };
                add(&mut tag.images, images);
                add(&mut tag.uncertain, uncertain);
                add(&mut tag.confidence, images * confidence);
            }
        }
        for category in self.first.iter_mut().chain(&mut self.second) {
            category.images = 0;
        }
        self.confidence.fill(0);
        for (counter, images) in &counts.others {
            let images = u64::try_from(*images).unwrap_or_default();
            let tag = self.places.get(&counter.key()).map(|place| &self.tags[*place]);
            match (counter.kind(), tag) {
                (Kind::First, Some(tag)) => self.first[tag.first].images = images,
                (Kind::Pair, Some(tag)) => self.second[tag.second].images = images,
                (Kind::Best, _) => {
                    let best = usize::try_from(counter.key()).unwrap_or_default().min(100);
                    self.confidence[best] += images;
                }
                _ => {}
            }
        }
        true
    }

    /// The most frequent labels that have fewer samples than are wanted, and than there are images with them.
    pub(super) fn lacking(&self) -> Vec<i64> {
        let mut places: Vec<(i64, usize)> = self.places.iter().map(|(id, at)| (*id, *at)).collect();
        places.sort_unstable_by_key(|(id, at)| (std::cmp::Reverse(self.tags[*at].images), *id));
        let lacks = |at: usize| {
            let tag = &self.tags[at];
            (tag.samples.len() as u64) < tag.images.min(self.query.samples as u64)
        };
        let most = places.into_iter().take(self.query.sampled);
        most.filter(|(_, at)| lacks(*at)).map(|(id, _)| id).collect()
    }

    /// Keeps an image as a sample of one of its labels.
    pub(super) fn sample(&mut self, content_id: i64, labels: &mut Vec<Found>, tag_id: i64) {
        once_each(labels);
        let Some(place) = self.places.get(&tag_id) else { return };
        let tag = &mut self.tags[*place];
        if tag.samples.iter().any(|(_, content)| *content == content_id) {
            return;
        }
        for label in labels.iter().filter(|label| label.tag_id == tag_id) {
            tag.sample(content_id, label, self.query.samples);
        }
    }

    /// Adds the labels of an image that the last listing brought.
    pub(super) fn came(&mut self, labels: &mut Vec<Found>) {
        once_each(labels);
        for label in labels.iter() {
            if let Some(place) = self.places.get(&label.tag_id) {
                self.tags[*place].came += 1;
            }
        }
    }

    /// Adds the labels of an image that the bucket lost in the last listing.
    pub(super) fn went(&mut self, labels: &mut Vec<Found>) {
        once_each(labels);
        for label in labels.iter() {
            if let Some(place) = self.places.get(&label.tag_id) {
                self.tags[*place].went += 1;
            }
        }
    }

    /// Sorts what was counted.
    pub(super) fn finish(self) -> Sums {
        let mut order: Vec<usize> = (0..self.tags.len()).collect();
        order.retain(|place| self.tags[*place].images + self.tags[*place].went > 0);
        order.sort_by(|a, b| {
            let (a, b) = (&self.tags[*a], &self.tags[*b]);
            let categories =
                |tag: &Tag| (&self.first[tag.first].name, &self.second[tag.second].name);
            b.images
                .cmp(&a.images)
                .then_with(|| a.name.cmp(&b.name))
                .then_with(|| categories(a).cmp(&categories(b)))
        });
        let mut beside = self.beside(&order);
        let labels = order.iter().enumerate().map(|(rank, place)| {
            let tag = &self.tags[*place];
            LabelCount {
                name: tag.name.clone(),
                first_category: self.first[tag.first].name.clone(),
                second_category: self.second[tag.second].name.clone(),
                images: tag.images,
                uncertain: tag.uncertain,
                confidence: tag.confidence,
                scenes: Scenes::from_bits(tag.scenes),
                came: tag.came,
                went: tag.went,
                samples: Vec::new(),
                beside: beside.get_mut(rank).map(std::mem::take).unwrap_or_default(),
            }
        });
        let samples = order
            .iter()
            .take(self.query.sampled)
            .map(|place| self.tags[*place].samples.iter().map(|(_, content)| *content).collect());
        Sums {
            labels: labels.collect(),
            samples: samples.collect(),
            categories: self.categories(),
            confidence: self.confidence,
        }
    }

    /// For each of the first labels, the places in `order` of the labels that most often stand beside it.
    fn beside(&self, order: &[usize]) -> Vec<Vec<usize>> {
        let ranks: HashMap<usize, usize> =
            order.iter().enumerate().map(|(rank, place)| (*place, rank)).collect();
        let mut pairs: Vec<HashMap<usize, u32>> =
            vec![HashMap::new(); self.query.beside.min(order.len())];
        for image in &self.paired {
            for one in image.iter().filter_map(|place| ranks.get(place)) {
                let Some(counts) = pairs.get_mut(*one) else { continue };
                for other in image.iter().filter_map(|place| ranks.get(place)) {
                    if other != one {
                        *counts.entry(*other).or_default() += 1;
                    }
                }
            }
        }
        let most = |counts: HashMap<usize, u32>| {
            let mut most: Vec<(usize, u32)> =
                counts.into_iter().filter(|(_, images)| *images >= OFTEN).collect();
            most.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
            most.into_iter().take(BESIDE).map(|(rank, _)| rank).collect()
        };
        pairs.into_iter().map(most).collect()
    }

    fn categories(&self) -> Vec<CategoryCount> {
        let mut all: Vec<CategoryCount> = self
            .first
            .iter()
            .map(|first| CategoryCount {
                name: first.name.clone(),
                images: first.images,
                second: Vec::new(),
            })
            .collect();
        for second in self.second.iter().filter(|second| second.images > 0) {
            all[second.first].second.push((second.name.clone(), second.images));
        }
        all.retain(|category| category.images > 0);
        for category in &mut all {
            category.second.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        }
        all.sort_by(|a, b| b.images.cmp(&a.images).then_with(|| a.name.cmp(&b.name)));
        all
    }
}

impl Tag {
    /// Keeps the image as a sample if it is better than one of the present ones: more confident, by tens. Among equals a
    /// hash decides, so that the samples of different labels are not the same images.
    fn sample(&mut self, content_id: i64, label: &Found, wanted: usize) {
        let tie = mixed(content_id, label.tag_id) >> 8;
        let good = (u64::from(label.confidence / 10) << 56) | tie;
        if self.samples.len() == wanted {
            if self.samples.last().is_some_and(|(worst, _)| good <= *worst) {
                return;
            }
            self.samples.pop();
        }
        let place = self.samples.partition_point(|(other, _)| *other > good);
        self.samples.insert(place, (good, content_id));
    }
}

/// Merges the labels that several scenes gave.
fn once_each(labels: &mut Vec<Found>) {
    labels.sort_unstable_by(|a, b| {
        a.tag_id.cmp(&b.tag_id).then_with(|| b.confidence.cmp(&a.confidence))
    });
    labels.dedup_by(|later, kept| {
        let is_same = later.tag_id == kept.tag_id;
        if is_same {
            kept.scenes |= later.scenes;
        }
        is_same
    });
}

/// A number that looks random and depends on both.
fn mixed(one: i64, other: i64) -> u64 {
    let mut mixed = one.cast_unsigned() ^ other.cast_unsigned().rotate_left(32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
