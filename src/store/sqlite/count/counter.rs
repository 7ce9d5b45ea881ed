//! What is counted.

use super::places::Place;
use crate::store::read::ImageState;
use crate::time::UnixMillis;

/// The slot of labels whose content has the same tag in another scene with a higher or equal confidence.
pub(crate) const SAME_TAG: u8 = 4;

/// The slot of labels whose content has the same name in another label with a higher or equal confidence.
pub(crate) const SAME_NAME: u8 = 5;

const KIND_BITS: u32 = 4;
const SLOT_BITS: u32 = 3;
const CONFIDENCE_BITS: u32 = 7;

/// The kinds of counters. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i64)]
pub(crate) enum Kind {
    /// Images with at least one label.
    Labelled = 0,
    /// Images that were answered without any label, and did not fail.
    Unlabelled = 1,
    /// Images without a label that were given up.
    GivenUp = 2,
    /// Images without an answer.
    Waiting = 3,
    /// Images that were given up, those with labels included.
    Failed = 4,
    /// Images that are wanted: one of their present objects is not skipped.
    Wanted = 5,
    /// Objects that are present.
    Present = 6,
    /// Present objects that are skipped.
    Skipped = 7,
    /// Objects that are gone.
    Gone = 8,
    /// Images by the confidence of their most confident label. The key is the confidence.
    Best = 9,
    /// Images with a label of a first category. The key is the first tag of the category.
    First = 10,
    /// Images with a label of a pair of categories. The key is the first tag of the pair.
    Pair = 11,
    /// Images with a label of a scene. The key is the scene.
    Scene = 12,
    /// Wanted objects by prefix. The key says the prefix, whether the object has a further prefix that is not counted by
    /// itself, and whether all of these objects are meant or those whose content has a label.
    Prefix = 13,
    /// Wanted objects by the day of their time. The key is the day since 1970, folded to be positive; 0 is no time.
    Day = 14,
    /// Images by label. The key is the tag, the confidence and a slot.
    Label = 15,
}

impl Kind {
    /// Every kind, in the order of the numbers.
    pub(crate) const ALL: [Self; 16] = [
        Self::Labelled,
        Self::Unlabelled,
        Self::GivenUp,
        Self::Waiting,
        Self::Failed,
        Self::Wanted,
        Self::Present,
        Self::Skipped,
        Self::Gone,
        Self::Best,
        Self::First,
        Self::Pair,
        Self::Scene,
        Self::Prefix,
        Self::Day,
        Self::Label,
    ];

    /// The kind that counts the images in a state.
    pub(crate) fn of_state(state: ImageState) -> Self {
        match state {
            ImageState::Labelled => Self::Labelled,
            ImageState::Unlabelled => Self::Unlabelled,
            ImageState::Failed => Self::GivenUp,
            ImageState::Waiting => Self::Waiting,
        }
    }
}

/// One counter: its kind and its key, in the number under which it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Counter(i64);

impl Counter {
    /// The counter of a kind, with a key that is not negative.
    pub(crate) fn new(kind: Kind, key: i64) -> Self {
        Self((key << KIND_BITS) | kind as i64)
    }

    /// The counter with this stored number.
    pub(crate) fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The stored number.
    pub(crate) fn number(self) -> i64 {
        self.0
    }

    /// The only counter of a kind that has no key.
    pub(crate) fn of(kind: Kind) -> Self {
        Self::new(kind, 0)
    }

    /// Images with the label in a scene, or in one of the slots for what scenes have in common.
    pub(crate) fn label(slot: u8, tag_id: i64, confidence: u8) -> Self {
        let mark = (tag_id << CONFIDENCE_BITS) | i64::from(confidence & 127);
        Self::new(Kind::Label, (mark << SLOT_BITS) | i64::from(slot))
    }

    /// Wanted objects in a place among the prefixes.
    pub(crate) fn prefix(place: Place, labelled: bool) -> Self {
        let flags = i64::from(place.is_other) << 1 | i64::from(labelled);
        Self::new(Kind::Prefix, place.prefix_id << 2 | flags)
    }

    /// Wanted objects of the day of this time, in UTC.
    pub(crate) fn day(last_modified: Option<UnixMillis>) -> Self {
        let key = last_modified.map_or(0, |at| {
            let day = at.0.div_euclid(86_400_000);
            1 + if day < 0 { (-1 - day) * 2 + 1 } else { day * 2 }
        });
        Self::new(Kind::Day, key)
    }

    pub(crate) fn kind(self) -> Kind {
        let number = usize::try_from(self.0 & ((1 << KIND_BITS) - 1)).unwrap_or_default();
        Kind::ALL[number]
    }

    pub(crate) fn key(self) -> i64 {
        self.0 >> KIND_BITS
    }

    /// Of a label: the number of its row in `label_count`, and its confidence.
    pub(crate) fn row_and_confidence(self) -> (i64, u8) {
        let (key, slot) = (self.key() >> SLOT_BITS, self.key() & ((1 << SLOT_BITS) - 1));
        let confidence = u8::try_from(key & 127).unwrap_or_default();
        (((key >> CONFIDENCE_BITS) << SLOT_BITS) | slot, confidence)
    }

    /// What is counted, in words.
    pub(crate) fn described(self) -> String {
        let key = self.key();
        match self.kind() {
            Kind::Labelled => "images with labels".to_owned(),
            Kind::Unlabelled => "images that were answered without labels".to_owned(),
            Kind::GivenUp => "images without labels that were given up".to_owned(),
            Kind::Waiting => "images without an answer".to_owned(),
            Kind::Failed => "images that were given up".to_owned(),
            Kind::Wanted => "wanted images".to_owned(),
            Kind::Present => "objects".to_owned(),
            Kind::Skipped => "skipped objects".to_owned(),
            Kind::Gone => "objects that are gone".to_owned(),
            Kind::Best => format!("images whose best label has the confidence {key}"),
            Kind::First => format!("images with the first category of tag {key}"),
            Kind::Pair => format!("images with the categories of tag {key}"),
            Kind::Scene => format!("images with labels of scene {key}"),
            Kind::Prefix => format!("objects of prefix {}", self.place().0.prefix_id),
            Kind::Day => match self.day_number() {
                Some(day) => format!("objects of day {day} since 1970"),
                None => "objects without a time".to_owned(),
            },
            Kind::Label => {
                let (row, confidence) = self.row_and_confidence();
                let (tag_id, slot) = Self::tag_and_slot(row);
                format!("labels of tag {tag_id} with confidence {confidence} (slot {slot})")
            }
        }
    }

    /// Of a row of `label_count`: its tag and its slot.
    pub(crate) fn tag_and_slot(row: i64) -> (i64, u8) {
        (row >> SLOT_BITS, u8::try_from(row & ((1 << SLOT_BITS) - 1)).unwrap_or_default())
    }

    /// Of a prefix: its place, and whether objects with labels are counted.
    pub(crate) fn place(self) -> (Place, bool) {
        let key = self.key();
        (Place { prefix_id: key >> 2, is_other: key & 2 != 0 }, key & 1 != 0)
    }

    /// Of a day: its number since 1970-01-01; `None` if the time is not known.
    pub(crate) fn day_number(self) -> Option<i64> {
        let folded = self.key().checked_sub(1).filter(|folded| *folded >= 0)?;
        Some(if folded & 1 == 0 { folded >> 1 } else { -1 - (folded >> 1) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn a_counter_tells_what_it_was_made_of(
            tag in 0..1_i64 << 40, confidence in 0..128_u8, slot in 0..6_u8, day in -9_000..90_000_i64,
            prefix_id in 0..1_i64 << 40, is_other in any::<bool>(), labelled in any::<bool>(),
        ) {
            let label = Counter::label(slot, tag, confidence);
            let (row, found) = label.row_and_confidence();
            prop_assert_eq!((Counter::tag_and_slot(row), found), ((tag, slot), confidence));
            prop_assert_eq!(label.kind(), Kind::Label);
            let place = Place { prefix_id, is_other };
            prop_assert_eq!(Counter::prefix(place, labelled).place(), (place, labelled));
            let counter = Counter::day(Some(UnixMillis(day * 86_400_000 + 5)));
            prop_assert_eq!((counter.day_number(), counter.kind()), (Some(day), Kind::Day));
            prop_assert_eq!(Counter::day(None).day_number(), None);
            prop_assert!(counter.number() >= 0 && label.number() >= 0);
        }
    }

    #[test]
    fn the_kinds_are_in_the_order_of_their_numbers() {
        for (number, kind) in (0..).zip(Kind::ALL) {
            assert_eq!(kind as i64, number);
            assert_eq!(Counter::new(kind, 7).kind(), kind);
        }
    }
}
