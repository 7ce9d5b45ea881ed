//! What a person sees of a database: the views of the report and of the page.
//!
//! Each view has a model, made by a function from what a [`crate::store::Reader`] reads, and a template in the folder
//! `src/view/templates`, which turns the model into HTML. A model holds texts and numbers as they are shown. Templates escape
//! every text.
//!
//! This module knows nothing of COS: whoever calls it says where a picture is.

mod advice;
mod chart;
mod command;
pub mod explore;
mod fact;
pub mod image;
pub mod labels;
mod links;
pub mod live;
mod name;
pub mod overview;
mod prefixes;
pub mod query;
mod readings;
pub mod runs;
mod share;
mod terms;

pub use command::Command;
pub use fact::Fact;
pub use links::Links;
pub use readings::{Pace, Readings};
pub use terms::{Money, Terms};

/// How a picture gets into a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// The page has an element with this id that draws the picture.
    Embedded(String),
    /// The picture has an address.
    Address {
        /// The address.
        src: String,
        /// Whether each request for it may cost something.
        costs: bool,
    },
}

impl Picture {
    /// Whether showing the picture is a request that may cost something.
    fn costs(&self) -> bool {
        matches!(self, Self::Address { costs: true, .. })
    }
}
