//! The forms in which values are stored: packed ids, JSON columns, compressed `ETag`s, each with its conversions.

use std::num::ParseIntError;
use std::ops::RangeInclusive;
use std::str::FromStr;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::object::ETag;
use crate::scene::Scene;
use crate::store::model::{
    CallOutcome, ChangeKind, ContentState, Counts, ErrorKind, RunState, SourceKind,
};
use crate::store::run::RangeProgress;
use crate::store::turn::LineFacts;
use crate::time::{UnixMillis, UnixSeconds};

/// `label.id`: the content, then two bits for the scene and six for the rank.
///
/// The labels of a content are next to each other, by scene and rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LabelId(i64);

impl LabelId {
    /// Bits of a label's id below the content.
    pub(super) const CONTENT_SHIFT: u32 = 8;

    /// Bits of a label's id below the scene.
    const SCENE_SHIFT: u32 = 6;

    /// The row of the label with this rank, from 1 to [`crate::store::model::RANK_MAX`].
    pub(super) fn new(content_id: i64, scene: Scene, rank: u32) -> Self {
        let scene = i64::from(scene.id()) << Self::SCENE_SHIFT;
        Self((content_id << Self::CONTENT_SHIFT) + scene + i64::from(rank))
    }

    /// The rows of all labels of a content.
    pub(super) fn of_content(content_id: i64) -> RangeInclusive<i64> {
        let first = content_id << Self::CONTENT_SHIFT;
        first..=first + (1 << Self::CONTENT_SHIFT) - 1
    }

    /// The rows of all labels of a content in one scene.
    pub(super) fn of_scene(content_id: i64, scene: Scene) -> RangeInclusive<i64> {
        let Self(first) = Self::new(content_id, scene, 0);
        first..=first + (1 << Self::SCENE_SHIFT) - 1
    }

    /// The content of the row with this stored number.
    pub(super) fn content(number: i64) -> i64 {
        number >> Self::CONTENT_SHIFT
    }

    /// The id of the scene of the row with this stored number.
    pub(super) fn scene(number: i64) -> u8 {
        u8::try_from(number >> 6 & 3).unwrap_or_default()
    }

    /// The stored number.
    pub(super) fn number(self) -> i64 {
        self.0
    }
}

/// `label.mark`: the tag, then seven bits for the confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(i64);

impl Mark {
    /// Bits of a mark below the tag.
    pub(super) const TAG_SHIFT: u32 = 7;

    /// The mark of a label with this confidence, from 0 to 100.
    pub(super) fn new(tag_id: i64, confidence: u8) -> Self {
        Self((tag_id << Self::TAG_SHIFT) + i64::from(confidence))
    }

    /// The tag of the mark with this stored number.
    pub(super) fn tag_id(number: i64) -> i64 {
        number >> Self::TAG_SHIFT
    }

    /// The confidence of the mark with this stored number.
    pub(super) fn confidence(number: i64) -> u8 {
        u8::try_from(number & 127).unwrap_or_default()
    }

    /// The stored number.
    pub(super) fn number(self) -> i64 {
        self.0
    }
}

/// A size in bytes on its way into the database, or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl ToSql for Size {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        i64::try_from(self.0)
            .map(Into::into)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl FromSql for Size {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        count(value).map(Self)
    }
}

/// A column that holds a moment, as the number of its seconds or milliseconds.
macro_rules! moment_column {
    ($($moment:ident),*) => {$(
        impl ToSql for $moment {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.into())
            }
        }

        impl FromSql for $moment {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_i64().map(Self)
            }
        }
    )*};
}

moment_column!(UnixSeconds, UnixMillis);

/// A number of things as it comes out of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl FromSql for Count {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        count(value).map(Self)
    }
}

fn count(value: ValueRef<'_>) -> FromSqlResult<u64> {
    let number = value.as_i64()?;
    u64::try_from(number).map_err(|_| FromSqlError::OutOfRange(number))
}

/// A number of lines of a list, which `range.cursor` holds as a text. It is empty at the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lines<T>(pub(super) T);

impl<T: FromStr<Err = ParseIntError> + Default> FromSql for Lines<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "" => Ok(Self(T::default())),
            number => number.parse().map(Self).map_err(|error| FromSqlError::Other(error.into())),
        }
    }
}

/// The progress of a range as `range.cursor` holds it: a key, or a number of lines.
#[derive(Debug)]
pub(super) enum Cursor<'a> {
    /// The last key that is in the store.
    Key(&'a str),
    /// A number of lines.
    Lines(String),
}

impl<'a> Cursor<'a> {
    pub(super) fn of(progress: &'a RangeProgress) -> Self {
        match progress {
            RangeProgress::Span { up_to } => Self::Key(up_to),
            RangeProgress::Reading { lines } => Self::Lines(lines.to_string()),
            RangeProgress::LookingUp { line } => Self::Lines(line.to_string()),
        }
    }
}

impl ToSql for Cursor<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Key(key) => key.to_sql(),
            Self::Lines(number) => number.to_sql(),
        }
    }
}

/// A column that holds the name of one of the values of an enum.
macro_rules! named_column {
    ($($kind:ty),*) => {$(
        impl FromSql for Named<$kind> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let name = value.as_str()?;
                <$kind>::from_name(name).map(Named).ok_or_else(|| {
                    FromSqlError::Other(format!("{name:?} is no {}", stringify!($kind)).into())
                })
            }
        }
    )*};
}

/// A value that is stored by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<T>(pub(super) T);

named_column!(SourceKind, RunState, ChangeKind);

/// A column that holds the number of one of the values of an enum.
macro_rules! numbered_column {
    ($($kind:ty),*) => {$(
        impl FromSql for Numbered<$kind> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let number = value.as_i64()?;
                <$kind>::from_id(number).map(Numbered).ok_or(FromSqlError::OutOfRange(number))
            }
        }
    )*};
}

/// A value that is stored by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered<T>(pub(super) T);

numbered_column!(ContentState, CallOutcome);

/// `content.error_kind`.
impl FromSql for Numbered<Option<ErrorKind>> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        ErrorKind::from_id(number).map(Numbered).ok_or(FromSqlError::OutOfRange(number))
    }
}

/// `run.counts` on its way into the database, as JSON.
#[derive(Debug)]
pub(super) struct CountsJson<'a>(pub(super) &'a Counts);

impl ToSql for CountsJson<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        serde_json::to_string(self.0)
            .map(Into::into)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

/// `run.counts` as it comes out of the database.
#[derive(Debug)]
pub(super) struct StoredCounts(pub(super) Counts);

impl FromSql for StoredCounts {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(|error| FromSqlError::Other(error.into()))
    }
}

/// An `ETag` on its way into the database, where an MD5 takes 16 bytes instead of 32 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EtagColumn<'a>(pub(super) &'a ETag);

impl ToSql for EtagColumn<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            ETag::Md5(md5) => md5.as_slice().into(),
            ETag::Text(text) => (**text).into(),
        })
    }
}

/// An `ETag` as it comes out of the database; `None` if there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct StoredEtag(pub(super) Option<ETag>);

/// `list_item.facts`, as JSON.
#[derive(Debug)]
pub(super) struct FactsJson<'a>(pub(super) &'a LineFacts);

impl ToSql for FactsJson<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        serde_json::to_string(self.0)
            .map(Into::into)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

/// `list_item.facts` as it comes out of the database.
#[derive(Debug)]
pub(super) struct StoredFacts(pub(super) LineFacts);

impl FromSql for StoredFacts {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

impl FromSql for StoredEtag {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self::default()),
            ValueRef::Blob(bytes) => Ok(Self(ETag::new(&hex::encode(bytes)))),
            ValueRef::Text(text) => std::str::from_utf8(text)
                .map(|text| Self(ETag::new(text)))
                .map_err(|error| FromSqlError::Other(Box::new(error))),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scene() -> impl Strategy<Value = Scene> {
        prop::sample::select(Scene::ALL.to_vec())
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn a_label_lies_in_the_rows_of_its_content_and_its_scene_and_in_no_others(
            content in 0_i64..1 << 50, scene in scene(), rank in 0_u32..64, other in scene(),
        ) {
            let id = LabelId::new(content, scene, rank).number();
            prop_assert!(LabelId::of_content(content).contains(&id));
            prop_assert!(!LabelId::of_content(content + 1).contains(&id));
            prop_assert_eq!(LabelId::of_scene(content, other).contains(&id), other == scene);
            prop_assert_eq!(id >> LabelId::CONTENT_SHIFT, content);
            prop_assert_eq!((id >> 6 & 3, id & 63), (i64::from(scene.id()), i64::from(rank)));
        }

        #[test]
        fn a_mark_holds_its_tag_and_its_confidence(tag in 0_i64..1 << 50, confidence in 0_u8..=100) {
            let number = Mark::new(tag, confidence).number();
            prop_assert_eq!(Mark::tag_id(number), tag);
            prop_assert_eq!(number & 127, i64::from(confidence));
        }
    }
}
