//! What the rows of an export look like.

use super::columns::Column;
use super::form::{Dialect, Format, Layout};

/// What the rows of an export look like.
#[derive(Debug, Clone)]
pub struct Shape {
    /// CSV or JSON.
    pub format: Format,
    /// The dialect of CSV.
    pub dialect: Dialect,
    /// What a row stands for.
    pub layout: Layout,
    /// The columns in their order. They belong to the layout.
    pub columns: Vec<Column>,
}

impl Shape {
    /// All columns of a layout, in plain CSV or in JSON.
    pub fn whole(format: Format, layout: Layout) -> Self {
        let columns = Column::of(layout).to_vec();
        Self { format, dialect: Dialect::Plain, layout, columns }
    }

    /// Whether the rows tell which objects an export no longer has. Each object then has at least one row.
    pub(super) fn tells_deleted(&self) -> bool {
        self.columns.last() == Some(&Column::Deleted)
    }
}
