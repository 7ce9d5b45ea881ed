//! How many images have a label of which confidence.

use super::super::chart::{self, Bar};
use crate::numbers::grouped;
use crate::store::read::UNCERTAIN_BELOW;

/// The width of a bar of the histogram, in steps of confidence.
const STEP: usize = 5;

/// How many images have a label of which confidence.
#[derive(Debug, Clone)]
pub struct Histogram {
    /// A bar for each five steps of confidence.
    pub bars: Vec<ConfidenceBar>,
    /// The threshold at the beginning.
    pub threshold: usize,
    /// Images whose best label reaches it.
    pub kept: String,
    /// Images whose best label does not.
    pub lost: String,
}

/// A bar of the histogram.
#[derive(Debug, Clone)]
pub struct ConfidenceBar {
    /// The lowest confidence of the bar.
    pub from: usize,
    /// The bar.
    pub bar: Bar,
}

pub(super) fn histogram(confidence: &[u64]) -> Option<Histogram> {
    if confidence.iter().all(|images| *images == 0) {
        return None;
    }
    // The last bar includes 100.
    let steps = 100 / STEP;
    let threshold = usize::from(UNCERTAIN_BELOW);
    let sum = |from: usize, to: usize| -> u64 { confidence.iter().take(to).skip(from).sum() };
    let values = (0..steps).map(|step| {
        let (from, to) = (step * STEP, (step + 1) * STEP);
        let is_last = step + 1 == steps;
        let name = if is_last { format!("{from} to 100") } else { format!("{from} to {}", to - 1) };
        chart::counted(name, sum(from, if is_last { usize::MAX } else { to }))
    });
    let bars = chart::bars(values.collect()).into_iter().enumerate().map(|(step, mut bar)| {
        let from = step * STEP;
        bar.on = from >= threshold;
        ConfidenceBar { from, bar }
    });
    Some(Histogram {
        bars: bars.collect(),
        threshold,
        kept: grouped(sum(threshold, usize::MAX)),
        lost: grouped(sum(0, threshold)),
    })
}
