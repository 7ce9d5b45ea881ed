//! The colours of a picture: which there are, how warm, how strong, and how many.

use super::labels::{Labels, shown};
use super::sample::{Pixel, Sample};

/// A colour is named if it covers at least this share of the picture, in percent.
const NAMED: f64 = 5.0;

/// The names of colours and their temperature. [`colour_of`] returns the index of a pixel's colour.
const COLOURS: [(&str, &str); 13] = [
    ("黑色", "中性色"),
    ("白色", "中性色"),
    ("灰色", "中性色"),
    ("红色", "暖色"),
    ("橙色", "暖色"),
    ("黄色", "暖色"),
    ("绿色", "冷色"),
    ("青色", "冷色"),
    ("蓝色", "冷色"),
    ("紫色", "冷色"),
    ("棕色", "暖色"),
    ("粉色", "暖色"),
    ("米色", "暖色"),
];

/// Adds the labels of colours, with their share in percent as confidence, and those of temperature, saturation and number.
pub(super) fn describe(labels: &mut Labels, sample: &Sample) {
    let mut counts = [0.0; COLOURS.len()];
    for pixel in sample.pixels() {
        counts[colour_of(pixel)] += 1.0;
    }
    let all: f64 = counts.iter().sum();
    let (mut warm, mut cool, mut named) = (0.0, 0.0, 0.0_f64);
    for (count, (name, temperature)) in counts.into_iter().zip(COLOURS) {
        let share = 100.0 * count / all.max(1.0);
        match temperature {
            "暖色" => warm += share,
            "冷色" => cool += share,
            _ => {}
        }
        if share >= NAMED {
            named += 1.0;
            labels.push(shown::COLOUR, (name, "颜色", temperature), share);
        }
    }
    if warm > 50.0 {
        labels.push(shown::TONE, ("暖色调", "色调", "暖色"), warm);
    } else if cool > 50.0 {
        labels.push(shown::TONE, ("冷色调", "色调", "冷色"), cool);
    }
    if named >= 6.0 {
        labels.push(shown::VARIETY, ("色彩丰富", "色彩", "多色"), 40.0 + 8.0 * named);
    } else if named <= 2.0 {
        labels.push(shown::VARIETY, ("色彩单纯", "色彩", "少色"), 95.0 - 10.0 * named);
    }
    describe_saturation(labels, sample);
}

fn describe_saturation(labels: &mut Labels, sample: &Sample) {
    let grey = sample.percent(|pixel| pixel.chroma <= 24.0);
    let chroma = sample.mean(|pixel| pixel.chroma);
    if grey > 98.0 {
        labels.push(shown::VIVID, ("黑白", "色彩", "无彩色"), grey);
    } else if chroma > 100.0 {
        labels.push(shown::VIVID, ("鲜艳", "色彩", "高饱和度"), chroma / 2.55);
    } else {
        labels.push(shown::VIVID, ("柔和", "色彩", "低饱和度"), 100.0 - chroma / 2.55);
    }
}

/// Returns the index of a pixel's colour in [`COLOURS`].
///
/// A pixel with little chroma is black, white or grey. Any other has the colour of its hue; dark orange is brown, pale orange
/// is beige, and pale red is pink.
fn colour_of(pixel: &Pixel) -> usize {
    let [red, green, blue] = pixel.rgb;
    let (high, low) = (red.max(green).max(blue), red.min(green).min(blue));
    let chroma = pixel.chroma;
    if high < 48 {
        return 0;
    }
    if chroma < 20.0 {
        return if low > 215 { 1 } else { 2 };
    }
    let (r, g, b) = (f64::from(red), f64::from(green), f64::from(blue));
    let hue = if high == red {
        60.0 * ((g - b) / chroma).rem_euclid(6.0)
    } else if high == green {
        60.0 * ((b - r) / chroma + 2.0)
    } else {
        60.0 * ((r - g) / chroma + 4.0)
    };
    let pale = low > 145;
    match hue {
        hue if (18.0..70.0).contains(&hue) && pale && chroma < 90.0 => 12,
        hue if (15.0..45.0).contains(&hue) && high < 150 => 10,
        hue if (15.0..45.0).contains(&hue) => 4,
        hue if (45.0..70.0).contains(&hue) => 5,
        hue if (70.0..165.0).contains(&hue) => 6,
        hue if (165.0..195.0).contains(&hue) => 7,
        hue if (195.0..255.0).contains(&hue) => 8,
        hue if (255.0..315.0).contains(&hue) => 9,
        hue if (315.0..335.0).contains(&hue) => 11,
        _ if pale => 11,
        _ => 3,
    }
}
