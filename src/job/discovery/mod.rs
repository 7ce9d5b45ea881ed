//! Discovery finds the objects of a source and compares them with the store.
//!
//! A source is a bucket (`lister`) or a list of keys or URLs (`lookup`). What differs from the store goes to the
//! writer, together with the position up to which the source was read.

mod batch;
mod beside;
pub(super) mod compare;
pub(super) mod filter;
mod inventory;
mod line;
mod lines;
mod lister;
mod lookup;
mod page_size;
mod queue;
mod ranges;
pub(super) mod reading;
pub(super) mod scope;
pub(super) mod source;
pub(super) mod stage;
mod streak;
pub(super) mod unmatched;
