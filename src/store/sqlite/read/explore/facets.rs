//! How many images there are behind each choice.

use std::collections::{HashMap, HashSet};

use super::{BATCH, Content, Dictionary, Label, Matcher, Standing, counts};
use crate::scene::Scene;
use crate::store::Error;
use crate::store::read::{Facets, LabelFacet, Pick};
use crate::store::sqlite::Reader;
use crate::store::sqlite::read::ReadTransaction;
use crate::time::UnixMillis;

/// The most prefixes that are counted: those that are met first.
const PREFIXES: usize = if cfg!(test) { 4 } else { 10_000 };

/// How many keys of one image are looked at between two calls of `continues`. Equal bytes may lie under very many.
const PATIENCE: usize = 10_000;

/// The milliseconds of a day.
pub(super) const DAY: i64 = 86_400_000;

/// The sums while images are counted.
#[derive(Default)]
struct Sums {
    facets: Facets,
    labels: HashMap<String, u64>,
    categories: HashMap<String, u64>,
    prefixes: HashMap<String, u64>,
}

/// What is known of the keys of an image below a prefix.
#[derive(Default)]
struct Below {
    /// Whether the image has a key of the chosen days.
    there: bool,
    /// The months of all these keys.
    months: HashSet<i32>,
    /// The prefixes, one level further down, of the keys of the chosen days.
    next: HashSet<String>,
}

/// Which conditions on labels an image fulfils.
struct Fits {
    all: bool,
    without_category: bool,
    of_scene: [bool; Scene::ALL.len()],
    reaches: [bool; 10],
}

impl Fits {
    fn of(matcher: &Matcher<'_>, labels: &[Label]) -> Self {
        let (pick, fits) = (matcher.pick, |scenes, least, category| {
            matcher.labels(labels, scenes, least, category)
        });
        let one = |scene: Scene| fits([scene].into_iter().collect(), pick.min_confidence, true);
        let mut least = 0;
        Self {
            all: fits(pick.scenes, pick.min_confidence, true),
            without_category: fits(pick.scenes, pick.min_confidence, false),
            of_scene: Scene::ALL.map(one),
            reaches: [(); 10].map(|()| {
                least += 10;
                fits(pick.scenes, least - 10, true)
            }),
        }
    }

    fn any(&self) -> bool {
        self.all
            || self.without_category
            || self.of_scene.contains(&true)
            || self.reaches.contains(&true)
    }
}

impl Reader {
    /// Counts the images behind each choice, until `continues` returns false.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn facets(&self, pick: &Pick, continues: &dyn Fn() -> bool) -> Result<Facets, Error> {
        self.answer(|| {
            if *pick == Pick::default()
                && let Some(kept) = self.kept_facets()?
            {
                return Ok(kept);
            }
            let dictionary = self.names()?;
            let matcher = Matcher::new(pick, &dictionary);
            let mut walk = self.walk(&matcher, None, false)?;
            let mut sums = Sums::default();
            sums.facets.complete = true;
            while let Some((lowest, highest)) = walk.next() {
                let _snapshot = ReadTransaction::begin(&self.connection)?;
                let batch = self.batch(lowest, highest)?;
                for content in &batch {
                    self.count(*content, &matcher, &dictionary, &mut sums, continues)?;
                    walk.before = content.id;
                }
                if walk.blocks.is_none() && i64::try_from(batch.len()).is_ok_and(|n| n < BATCH) {
                    break;
                }
                if !sums.facets.complete || !continues() {
                    sums.facets.complete = false;
                    break;
                }
            }
            let mut facets = sums.finish(&dictionary);
            facets.is_total = facets.complete;
            if !facets.complete
                && let Some(images) = self.kept_images(pick)?
            {
                (facets.images, facets.is_total) = (images, true);
            }
            Ok(facets)
        })
    }

    fn count(
        &self,
        content: Content,
        matcher: &Matcher<'_>,
        dictionary: &Dictionary,
        sums: &mut Sums,
        continues: &dyn Fn() -> bool,
    ) -> rusqlite::Result<()> {
        let pick = matcher.pick;
        let labels = self.labels_of(content)?;
        let fits = Fits::of(matcher, &labels);
        if !fits.any() {
            return Ok(());
        }
        let Some(Standing { state, is_wanted }) = self.standing(content, &labels)? else {
            return Ok(());
        };
        let Some(Below { there, months, next }) =
            self.below_prefix(content, is_wanted, matcher, continues)?
        else {
            sums.facets.complete = false;
            return Ok(());
        };
        let of_state = pick.state.is_none_or(|wanted| wanted == state);
        let facets = &mut sums.facets;
        if there && fits.all {
            *facets.states.entry(state).or_default() += 1;
        }
        if !of_state {
            return Ok(());
        }
        if fits.all {
            for month in months {
                *facets.months.entry(month).or_default() += 1;
            }
        }
        if !there {
            return Ok(());
        }
        for (scene, fits) in Scene::ALL.into_iter().zip(fits.of_scene) {
            *facets.scenes.entry(scene).or_default() += u64::from(fits);
        }
        for (count, fits) in facets.confidence.iter_mut().zip(fits.reaches) {
            *count += u64::from(fits);
        }
        let (mut names, mut categories) = (HashSet::new(), HashSet::new());
        for label in labels.iter().filter(|l| counts(l, pick.scenes, pick.min_confidence)) {
            if let Some((name, category)) = dictionary.tags.get(&label.tag) {
                names.insert(name.as_str());
                categories.insert(category.as_str());
            }
        }
        if fits.without_category {
            add(&mut sums.categories, categories);
        }
        if fits.all {
            sums.facets.images += 1;
            add(&mut sums.labels, names);
            let has_room = sums.prefixes.len() < PREFIXES;
            let known = |prefix: &&str| has_room || sums.prefixes.contains_key(*prefix);
            let next = next.iter().map(String::as_str).filter(known).collect();
            add(&mut sums.prefixes, next);
        }
        Ok(())
    }

    /// Looks at the keys of an image below the prefix of a pick. Returns `None` once `continues` returns false.
    fn below_prefix(
        &self,
        content: Content,
        is_wanted: bool,
        matcher: &Matcher<'_>,
        continues: &dyn Fn() -> bool,
    ) -> rusqlite::Result<Option<Below>> {
        let prefix = &matcher.pick.prefix;
        let (mut below, mut seen, mut goes_on) = (Below::default(), 0_usize, true);
        self.each_key(content, is_wanted, prefix, None, |_, key, modified| {
            below.months.extend(modified.map(month));
            if matcher.day(modified) {
                below.there = true;
                if let Some(next) = next_level(key, prefix.len())
                    && !below.next.contains(next)
                {
                    below.next.insert(next.to_owned());
                }
            }
            seen += 1;
            goes_on = !seen.is_multiple_of(PATIENCE) || continues();
            goes_on
        })?;
        Ok(goes_on.then_some(below))
    }
}

impl Sums {
    fn finish(self, dictionary: &Dictionary) -> Facets {
        let category = dictionary.first_categories();
        let labels = ranked(self.labels).into_iter().map(|(name, images)| {
            let first = category.get(name.as_str()).copied().unwrap_or_default();
            LabelFacet { first_category: first.to_owned(), name, images }
        });
        Facets {
            labels: labels.collect(),
            categories: ranked(self.categories),
            prefixes: ranked(self.prefixes),
            ..self.facets
        }
    }
}

fn add(sums: &mut HashMap<String, u64>, names: HashSet<&str>) {
    for name in names {
        match sums.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                sums.insert(name.to_owned(), 1);
            }
        }
    }
}

pub(super) fn ranked(sums: HashMap<String, u64>) -> Vec<(String, u64)> {
    let mut all: Vec<_> = sums.into_iter().collect();
    all.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    all
}

/// The prefix of a key that is one level longer than `length` bytes of it; `None` if the key has no further `/`.
pub(super) fn next_level(key: &str, length: usize) -> Option<&str> {
    let slash = key.get(length..)?.find('/')?;
    key.get(..=length + slash)
}

/// The month of a moment, in UTC, as months since the year 0.
pub(super) fn month(UnixMillis(moment): UnixMillis) -> i32 {
    // Civil dates from days, as in "chrono-Compatible Low-Level Date Algorithms" by Howard Hinnant.
    let days = moment.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (month, carry) = if shifted < 10 { (shifted + 2, 0) } else { (shifted - 10, 1) };
    i32::try_from((era * 400 + year_of_era + carry) * 12 + month).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scenes;

    #[test]
    fn a_month_is_that_of_the_calendar() {
        // 1970-01-01, 2026-11-26, 2024-02-29, 1999-12-31.
        for (seconds, year, of_year) in [
            (0, 1970, 0),
            (1_795_672_800, 2026, 10),
            (1_709_164_800, 2024, 1),
            (946_684_799, 1999, 11),
        ] {
            assert_eq!(month(UnixMillis(seconds * 1_000)), year * 12 + of_year, "{seconds}");
        }
    }

    #[test]
    fn the_next_level_of_a_key_ends_with_a_slash() {
        assert_eq!(next_level("2026/11/a.jpg", 0), Some("2026/"));
        assert_eq!(next_level("2026/11/a.jpg", 5), Some("2026/11/"));
        assert_eq!(next_level("2026/11/a.jpg", 8), None);
    }

    #[test]
    fn no_scene_is_every_scene() {
        let label = Label { tag: 1, scene: Some(Scene::Web), confidence: 50 };
        assert!(counts(&label, Scenes::NONE, 50) && !counts(&label, Scenes::NONE, 51));
        assert!(!counts(&label, [Scene::Camera].into_iter().collect(), 0));
    }
}
