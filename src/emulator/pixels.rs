//! Labels of a real picture, computed from its pixels: colours, light and shape. They do not guess what the picture shows.

use image::GenericImageView;

use super::scenes::{Answer, Label, SceneSet};

/// The most pixels that are sampled along each side.
const GRID: u32 = 160;
/// The largest side of a picture in pixels. A larger picture is not decoded.
const MAX_SIDE: u32 = 12_000;

/// The names of colours and their temperature. [`colour_of`] returns the index of a pixel's colour.
const COLOURS: [(&str, &str); 11] = [
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
];

/// The scenes that have a group of labels, as bits in the order album, camera, news, web.
mod shown {
    pub(super) const COLOUR: u8 = 0b1001;
    pub(super) const TONE: u8 = 0b0101;
    pub(super) const LIGHT: u8 = 0b0111;
    pub(super) const CONTRAST: u8 = 0b1010;
    pub(super) const SHAPE: u8 = 0b1110;
    pub(super) const VIVID: u8 = 0b1100;
    pub(super) const TEXTURE: u8 = 0b0010;
}

/// The labels of a picture, each with the scenes that have it, the most certain first.
#[derive(Debug, PartialEq)]
pub(super) struct Traits(Vec<(u8, Label)>);

impl Traits {
    /// Returns the answer for the requested scenes.
    pub(super) fn answer(&self, scenes: SceneSet) -> Answer {
        let of = |scene: usize| {
            self.0
                .iter()
                .filter(|(shown, _)| shown & (1 << scene) != 0)
                .map(|(_, label)| *label)
                .collect()
        };
        scenes.indexes().map(|scene| (scene, of(scene))).collect()
    }
}

/// Sums over the sampled pixels.
#[derive(Default)]
struct Counts {
    pixels: f64,
    colours: [f64; COLOURS.len()],
    luma: f64,
    luma_squared: f64,
    chroma: f64,
    coloured: f64,
    edges: f64,
}

/// Reads a PNG or JPEG file. Returns `None` if it cannot be decoded.
pub(super) fn read(bytes: &[u8]) -> Option<Traits> {
    let mut reader =
        image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let (width, height) = picture.dimensions();
    let counts = count(&picture);
    let mut labels = Vec::new();
    describe_shape(&mut labels, width, height);
    describe_colours(&mut labels, &counts);
    describe_light(&mut labels, &counts);
    labels.sort_by(|a, b| (b.1.confidence, a.1.name).cmp(&(a.1.confidence, b.1.name)));
    Some(Traits(labels))
}

fn count(picture: &image::DynamicImage) -> Counts {
    let (width, height) = picture.dimensions();
    let (columns, rows) = (width.min(GRID), height.min(GRID));
    let mut counts = Counts::default();
    for row in 0..rows {
        let mut left: Option<f64> = None;
        for column in 0..columns {
            let at = |place: u32, length: u32, of: u32| {
                u32::try_from(u64::from(place) * u64::from(length) / u64::from(of)).unwrap_or(0)
            };
            let [red, green, blue, _] =
                picture.get_pixel(at(column, width, columns), at(row, height, rows)).0;
            let luma = luma(red, green, blue);
            let chroma = f64::from(red.max(green).max(blue) - red.min(green).min(blue));
            counts.pixels += 1.0;
            counts.colours[colour_of(red, green, blue)] += 1.0;
            counts.luma += luma;
            counts.luma_squared += luma * luma;
            counts.chroma += chroma;
            counts.coloured += f64::from(u8::from(chroma > 24.0));
            counts.edges +=
                f64::from(u8::from(left.is_some_and(|left| (left - luma).abs() > 24.0)));
            left = Some(luma);
        }
    }
    counts
}

/// Returns the perceived brightness from 0 to 255 (ITU-R BT.601).
fn luma(red: u8, green: u8, blue: u8) -> f64 {
    0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue)
}

/// Returns the index of a pixel's colour in [`COLOURS`]. A pixel with little chroma is black, white or grey. Any other has
/// the colour of its hue, and dark orange is brown.
fn colour_of(red: u8, green: u8, blue: u8) -> usize {
    let (high, low) = (red.max(green).max(blue), red.min(green).min(blue));
    let chroma = f64::from(high - low);
    if high < 48 {
        return 0;
    }
    if chroma < 28.0 {
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
    match hue {
        hue if (15.0..45.0).contains(&hue) && high < 150 => 10,
        hue if (15.0..45.0).contains(&hue) => 4,
        hue if (45.0..70.0).contains(&hue) => 5,
        hue if (70.0..165.0).contains(&hue) => 6,
        hue if (165.0..200.0).contains(&hue) => 7,
        hue if (200.0..260.0).contains(&hue) => 8,
        hue if (260.0..335.0).contains(&hue) => 9,
        _ => 3,
    }
}

fn push(
    labels: &mut Vec<(u8, Label)>,
    shown: u8,
    names: (&'static str, &'static str, &'static str),
    certainty: f64,
) {
    let (name, first_category, second_category) = names;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 1..=100 first"
    )]
    let confidence = certainty.round().clamp(1.0, 100.0) as u8;
    let label = Label { name, first_category, second_category, confidence };
    labels.push((shown, label));
}

/// Adds the label of the shape: portrait, landscape or square. A side counts as longer if the difference is more than a
/// twentieth.
fn describe_shape(labels: &mut Vec<(u8, Label)>, width: u32, height: u32) {
    let ratio = f64::from(width) / f64::from(height.max(1));
    let name = match ratio {
        ratio if ratio > 1.05 => "横图",
        ratio if ratio < 0.95 => "竖图",
        _ => "方图",
    };
    push(labels, shown::SHAPE, (name, "构图", "画幅"), 99.0);
}

/// Adds the labels of colours that cover at least a twentieth, with their share in percent as confidence, and those of
/// temperature and saturation.
fn describe_colours(labels: &mut Vec<(u8, Label)>, counts: &Counts) {
    let percent = |part: f64| 100.0 * part / counts.pixels.max(1.0);
    let (mut warm, mut cool) = (0.0, 0.0);
    for (&count, (name, temperature)) in counts.colours.iter().zip(COLOURS) {
        let share = percent(count);
        match temperature {
            "暖色" => warm += share,
            "冷色" => cool += share,
            _ => {}
        }
        if share >= 5.0 {
            push(labels, shown::COLOUR, (name, "颜色", temperature), share);
        }
    }
    if warm > 50.0 {
        push(labels, shown::TONE, ("暖色调", "色调", "暖色"), warm);
    } else if cool > 50.0 {
        push(labels, shown::TONE, ("冷色调", "色调", "冷色"), cool);
    }
    let grey = 100.0 - percent(counts.coloured);
    let chroma = counts.chroma / counts.pixels.max(1.0);
    if grey > 98.0 {
        push(labels, shown::VIVID, ("黑白", "色彩", "无彩色"), grey);
    } else if chroma > 100.0 {
        push(labels, shown::VIVID, ("鲜艳", "色彩", "高饱和度"), chroma / 2.55);
    } else {
        push(labels, shown::VIVID, ("柔和", "色彩", "低饱和度"), 100.0 - chroma / 2.55);
    }
}

/// Adds the labels of mean brightness, of contrast, and of texture: how often brightness changes between neighbours.
fn describe_light(labels: &mut Vec<(u8, Label)>, counts: &Counts) {
    let pixels = counts.pixels.max(1.0);
    let mean = counts.luma / pixels;
    let deviation = (counts.luma_squared / pixels - mean * mean).max(0.0).sqrt();
    let name = match mean {
        mean if mean < 85.0 => ("昏暗", "光线", "低亮度"),
        mean if mean > 170.0 => ("明亮", "光线", "高亮度"),
        _ => ("亮度适中", "光线", "中亮度"),
    };
    push(labels, shown::LIGHT, name, 50.0 + (mean - 127.5).abs() / 2.55);
    if deviation > 60.0 {
        push(labels, shown::CONTRAST, ("高对比度", "光线", "对比度"), 40.0 + deviation / 2.1);
    } else if deviation < 25.0 {
        push(labels, shown::CONTRAST, ("低对比度", "光线", "对比度"), 95.0 - deviation);
    }
    let edges = 100.0 * counts.edges / pixels;
    if edges > 8.0 {
        push(labels, shown::TEXTURE, ("纹理丰富", "质感", "纹理"), 50.0 + edges);
    } else if edges < 1.0 {
        push(labels, shown::TEXTURE, ("画面平滑", "质感", "纹理"), 95.0 - 20.0 * edges);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(picture: &image::RgbImage, format: image::ImageFormat) -> Vec<&'static str> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        let traits = read(&bytes.into_inner()).unwrap();
        assert!(traits.0.iter().all(|(_, label)| (1..=100).contains(&label.confidence)));
        traits.0.into_iter().map(|(_, label)| label.name).collect()
    }

    #[test]
    fn a_picture_of_one_colour_has_the_labels_of_its_colour_and_shape() {
        let cases: [(&[u8; 3], u32, u32, &[&str]); 5] = [
            (&[220, 20, 20], 90, 60, &["红色", "横图", "暖色调", "低对比度", "画面平滑"]),
            (&[20, 40, 220], 60, 90, &["蓝色", "竖图", "冷色调", "昏暗"]),
            (&[255, 255, 255], 64, 64, &["白色", "方图", "明亮", "黑白"]),
            (&[5, 5, 5], 64, 64, &["黑色", "昏暗", "黑白"]),
            (&[30, 200, 40], 64, 64, &["绿色", "鲜艳", "亮度适中"]),
        ];
        for (colour, width, height, wanted) in cases {
            let picture = image::RgbImage::from_pixel(width, height, image::Rgb(*colour));
            for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg] {
                let names = names(&picture, format);
                for name in wanted {
                    assert!(names.contains(name), "{colour:?} {name}: {names:?}");
                }
            }
        }
    }

    #[test]
    fn a_picture_of_stripes_has_contrast_texture_and_both_colours() {
        let picture = image::RgbImage::from_fn(80, 80, |x, _| {
            image::Rgb(if x / 4 % 2 == 0 { [0, 0, 0] } else { [255, 255, 255] })
        });
        let names = names(&picture, image::ImageFormat::Png);
        for name in ["高对比度", "纹理丰富", "黑色", "白色", "黑白"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_picture_has_no_labels() {
        assert_eq!(read(b""), None);
        assert_eq!(read(b"some text"), None);
        assert_eq!(read(b"\x89PNG\r\n\x1a\nbroken"), None);
    }
}
