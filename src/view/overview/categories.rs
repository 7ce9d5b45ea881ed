//! The first categories, each divided by its second ones.

use super::super::Terms;
use super::super::share::{LENGTH, length, roughly};
use crate::numbers::grouped;
use crate::store::read::CategoryCount;

/// How many categories are shown, into how many parts each is divided at most, and how many of them are named.
pub(super) const CATEGORIES: usize = 24;
const PARTS: usize = 10;
const NAMED: usize = 3;

/// A first category.
#[derive(Debug, Clone)]
pub struct Category {
    /// The name.
    pub name: String,
    /// Where its images are, if they can be looked at.
    pub href: Option<String>,
    /// The number of images.
    pub count: String,
    /// The second categories as parts of a bar.
    pub parts: Vec<CategoryPart>,
    /// The largest second categories, with their share.
    pub named: Vec<(String, String)>,
}

/// A second category.
#[derive(Debug, Clone)]
pub struct CategoryPart {
    /// The place on the bar.
    pub x: u32,
    /// The length.
    pub width: u32,
    /// The name.
    pub name: String,
    /// The number of images.
    pub count: String,
}

pub(super) fn categories(categories: &[CategoryCount], terms: &Terms) -> Vec<Category> {
    let most = categories.first().map_or(0, |category| category.images);
    let shown = categories.iter().take(CATEGORIES);
    shown
        .map(|category| {
            // An image may have labels of several second categories, so their sum may exceed the number of images.
            let sum: u64 = category.second.iter().map(|(_, images)| images).sum();
            let whole = length(category.images, most, LENGTH);
            let mut x = 0;
            let mut parts = Vec::new();
            for (second, images) in category.second.iter().take(PARTS) {
                let width = length(*images, sum, whole).min(whole.saturating_sub(x));
                if width < 4 {
                    break;
                }
                // A gap between two parts belongs to the first one.
                let shown = terms.second_category(second);
                parts.push(CategoryPart {
                    x,
                    width: width - 3,
                    name: shown,
                    count: grouped(*images),
                });
                x += width;
            }
            let named = category.second.iter().filter(|(second, _)| !second.is_empty()).take(NAMED);
            Category {
                href: terms.links.images("category", &category.name),
                name: terms.first_category(&category.name),
                count: grouped(category.images),
                named: named
                    .map(|(second, images)| {
                        (terms.second_category(second), roughly(*images, category.images))
                    })
                    .collect(),
                parts,
            }
        })
        .collect()
}
