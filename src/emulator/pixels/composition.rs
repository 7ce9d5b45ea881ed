//! The composition of a picture: its shape, its balance, and its lines.

use super::labels::{Labels, shown};
use super::sample::{Pixel, Sample, mean};

/// Neighbours whose brightness differs by more than this are an edge.
const EDGE: f64 = 24.0;

/// Adds the labels of shape, balance, texture and lines.
pub(super) fn describe(labels: &mut Labels, sample: &Sample) {
    describe_shape(labels, sample.size);
    describe_balance(labels, sample);
    describe_lines(labels, sample);
}

/// Adds portrait, landscape or square. A side counts as longer if the difference is more than a twentieth.
fn describe_shape(labels: &mut Labels, (width, height): (u32, u32)) {
    let ratio = f64::from(width) / f64::from(height.max(1));
    let name = match ratio {
        ratio if ratio > 1.05 => "横图",
        ratio if ratio < 0.95 => "竖图",
        _ => "方图",
    };
    labels.push(shown::SHAPE, (name, "构图", "画幅"), 99.0);
}

/// Adds a label if the middle differs from the border, and one if the left half mirrors the right half.
fn describe_balance(labels: &mut Labels, sample: &Sample) {
    let height = sample.rows().len();
    let (mut middle, mut border) = (Means::default(), Means::default());
    for (y, row) in sample.rows().enumerate() {
        let width = row.len();
        for (x, pixel) in row.iter().enumerate() {
            let inner = |at: usize, length: usize| at * 10 >= length * 3 && at * 10 < length * 7;
            let outer = |at: usize, length: usize| at * 8 < length || at * 8 >= length * 7;
            if inner(x, width) && inner(y, height) {
                middle.add(pixel);
            } else if outer(x, width) || outer(y, height) {
                border.add(pixel);
            }
        }
    }
    let difference = middle.distance(&border);
    if difference > 70.0 {
        let certainty = 40.0 + difference / 2.5;
        labels.push(shown::BALANCE, ("主体居中", "构图", "主体"), certainty);
    }
    let mirrored = mean(sample.rows().flat_map(|row| {
        let half = row.len() / 2;
        row[..half].iter().zip(row.iter().rev()).map(|(left, right)| (left.luma - right.luma).abs())
    }));
    let brightness = sample.mean(|pixel| pixel.luma);
    let deviation = sample.mean(|pixel| (pixel.luma - brightness).abs());
    if deviation > 10.0 && mirrored < deviation / 2.0 {
        let certainty = 100.0 - 60.0 * mirrored / deviation;
        labels.push(shown::BALANCE, ("左右对称", "构图", "对称"), certainty);
    }
}

/// Adds the labels of texture (how often brightness changes between neighbours) and of its direction.
fn describe_lines(labels: &mut Labels, sample: &Sample) {
    let is_edge =
        |one: &Pixel, other: &Pixel| f64::from(u8::from((one.luma - other.luma).abs() > EDGE));
    let along = 100.0
        * mean(sample.rows().flat_map(|row| row.windows(2).map(|two| is_edge(&two[0], &two[1]))));
    let down =
        100.0
            * mean(sample.rows().zip(sample.rows().skip(1)).flat_map(|(row, next)| {
                row.iter().zip(next).map(|(one, other)| is_edge(one, other))
            }));
    if along > 8.0 {
        labels.push(shown::TEXTURE, ("纹理丰富", "质感", "纹理"), 50.0 + along);
    } else if along < 1.0 {
        labels.push(shown::TEXTURE, ("画面平滑", "质感", "纹理"), 95.0 - 20.0 * along);
    }
    // An edge between left and right neighbours belongs to an upright line.
    if along > 4.0 && along > 1.8 * down {
        labels.push(shown::BALANCE, ("竖线条", "构图", "线条"), 60.0 + along);
    } else if down > 2.0 && down > 1.8 * along {
        labels.push(shown::BALANCE, ("横线条", "构图", "线条"), 60.0 + down);
    }
}

/// The mean colour of some pixels.
#[derive(Default)]
struct Means {
    sums: [f64; 3],
    count: f64,
}

impl Means {
    fn add(&mut self, pixel: &Pixel) {
        for (sum, part) in self.sums.iter_mut().zip(pixel.rgb) {
            *sum += f64::from(part);
        }
        self.count += 1.0;
    }

    /// The distance between two mean colours, from 0 to 442.
    fn distance(&self, other: &Self) -> f64 {
        let parts = self.sums.iter().zip(other.sums);
        let squares = parts
            .map(|(one, two)| (one / self.count.max(1.0) - two / other.count.max(1.0)).powi(2));
        squares.sum::<f64>().sqrt()
    }
}
