//! The columns of an export, by the names that they have in a header.

use std::fmt;
use std::str::FromStr;

use super::form::Layout;
use crate::scene::Scene;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The name of the bucket.
    Bucket,
    /// The key, or the URL.
    Key,
    /// The scene of the label.
    Scene,
    /// The position of the label in the answer.
    Rank,
    /// The name of the label.
    Name,
    /// The first category of the label.
    FirstCategory,
    /// The second category of the label.
    SecondCategory,
    /// The confidence of the label.
    Confidence,
    /// All labels of the object in one scene.
    Labels(Scene),
    /// The `ETag` of the object.
    ETag,
    /// The size of the object in bytes.
    Size,
    /// When the object was last changed.
    LastModified,
    /// When the labels were answered.
    TaggedAt,
    /// Whether an export no longer has rows of the object. It is the last column of an export of changes.
    Deleted,
}

/// The columns of the long layout, which are those of the view `labels`.
const LONG: [Column; 12] = [
    Column::Bucket,
    Column::Key,
    Column::Scene,
    Column::Rank,
    Column::Name,
    Column::FirstCategory,
    Column::SecondCategory,
    Column::Confidence,
    Column::ETag,
    Column::Size,
    Column::LastModified,
    Column::TaggedAt,
];

/// The columns of the wide layout.
const WIDE: [Column; 10] = [
    Column::Bucket,
    Column::Key,
    Column::Labels(Scene::Album),
    Column::Labels(Scene::Camera),
    Column::Labels(Scene::News),
    Column::Labels(Scene::Web),
    Column::ETag,
    Column::Size,
    Column::LastModified,
    Column::TaggedAt,
];

impl Column {
    /// All columns of a layout, in their order.
    pub fn of(layout: Layout) -> &'static [Self] {
        match layout {
            Layout::Long => &LONG,
            Layout::Wide => &WIDE,
        }
    }

    /// Whether each label has its own value in this column. In all other columns, the rows of an object are equal.
    pub(super) fn belongs_to_a_label(self) -> bool {
        matches!(
            self,
            Self::Scene
                | Self::Rank
                | Self::Name
                | Self::FirstCategory
                | Self::SecondCategory
                | Self::Confidence
        )
    }

    /// The name in a header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Key => "key",
            Self::Scene => "scene",
            Self::Rank => "rank",
            Self::Name => "name",
            Self::FirstCategory => "first_category",
            Self::SecondCategory => "second_category",
            Self::Confidence => "confidence",
            Self::Labels(scene) => scene.name(),
            Self::ETag => "etag",
            Self::Size => "size",
            Self::LastModified => "last_modified",
            Self::TaggedAt => "tagged_at",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        LONG.into_iter().chain(WIDE).find(|column| column.name() == name.trim()).ok_or_else(|| {
            format!(
                "there is no such column; the long layout has {}, the wide layout {}",
                names(&LONG),
                names(&WIDE)
            )
        })
    }
}

/// The names of columns, separated by commas.
pub fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(",")
}
