//! The kept counts: how many images and labels there are, kept up to date with every change.
//!
//! An image is a content that at least one present object has, and that is wanted or was labelled before. `counter.rs`
//! says what is counted, and `image.rs` what one image counts for. The writer collects changes with these two and stores
//! them: see `turn/counting.rs`. `recount.rs` counts every row anew, for the migration, for `verify`, and for a database
//! of an earlier version. `sums.rs` has the counts in memory, however they were made.

mod code;
mod counter;
mod dictionary;
mod fill;
mod image;
mod places;
mod recount;
mod sums;

pub(super) use code::{decode_changes, decode_counts, encode_changes, encode_counts};
pub(super) use counter::{Counter, Kind, SAME_NAME, SAME_TAG};
pub(super) use dictionary::Dictionary;
pub(super) use fill::{COUNTED, COUNTS_SINCE, is_counted, keep, rows_to_count};
pub(super) use image::{Facts, Found, count_image};
pub(super) use places::{Place, Places};
pub(super) use recount::{found_label, recount};
pub(super) use sums::{Sums, damaged};
