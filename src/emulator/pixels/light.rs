//! The light of a picture: how bright it is, how much brightness differs, and where it is brighter.

use super::labels::{Labels, shown};
use super::sample::{Pixel, Sample, mean};

/// Adds the labels of brightness, of contrast, of bright spots in the dark, and of a bright or dark top.
pub(super) fn describe(labels: &mut Labels, sample: &Sample) {
    let brightness = sample.mean(|pixel| pixel.luma);
    let deviation = sample.mean(|pixel| (pixel.luma - brightness).powi(2)).sqrt();
    let name = match brightness {
        mean if mean < 85.0 => ("昏暗", "光线", "低亮度"),
        mean if mean > 170.0 => ("明亮", "光线", "高亮度"),
        _ => ("亮度适中", "光线", "中亮度"),
    };
    labels.push(shown::LIGHT, name, 50.0 + (brightness - 127.5).abs() / 2.55);
    if deviation > 60.0 {
        labels.push(shown::CONTRAST, ("高对比度", "光线", "对比度"), 40.0 + deviation / 2.1);
    } else if deviation < 25.0 {
        labels.push(shown::CONTRAST, ("低对比度", "光线", "对比度"), 95.0 - deviation);
    }
    let spots = sample.percent(|pixel| pixel.luma > 150.0);
    if brightness < 85.0 && (0.2..12.0).contains(&spots) {
        labels.push(shown::CONTRAST, ("暗处亮点", "光线", "局部光"), 60.0 + 3.0 * spots);
    }
    describe_fall(labels, sample);
}

/// Adds a label if the upper third is clearly brighter or darker than the lower third.
fn describe_fall(labels: &mut Labels, sample: &Sample) {
    let third = sample.rows().len() / 3;
    let brightness = |row: &[Pixel]| mean(row.iter().map(|pixel| pixel.luma));
    let top = mean(sample.rows().take(third).map(brightness));
    let bottom = mean(sample.rows().rev().take(third).map(brightness));
    if top - bottom > 45.0 {
        labels.push(shown::FALL, ("上明下暗", "光线", "明暗分布"), 45.0 + (top - bottom) / 2.5);
    } else if bottom - top > 45.0 {
        labels.push(shown::FALL, ("上暗下明", "光线", "明暗分布"), 45.0 + (bottom - top) / 2.5);
    }
}
