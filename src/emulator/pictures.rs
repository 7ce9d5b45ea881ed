//! Draws the pictures of the demo. They are small, quick to draw, and look different from each other.

use std::fs;
use std::io;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};

type Colour = [u8; 3];

const SKY: Colour = [120, 180, 240];
const NIGHT: Colour = [12, 14, 40];
const SAND: Colour = [230, 205, 150];
const GRASS: Colour = [50, 150, 60];
const SEA: Colour = [20, 90, 190];
const SUN: Colour = [255, 220, 60];
const MOON: Colour = [235, 235, 225];
const BRICK: Colour = [190, 60, 45];
const SNOW: Colour = [245, 247, 250];
const STONE: Colour = [110, 110, 112];

/// The widths and heights of the pictures in pixels: portrait, landscape and square.
const SHAPES: [(u32, u32); 3] = [(200, 300), (320, 200), (240, 240)];

#[derive(Clone, Copy)]
enum Motif {
    Gradient(Colour, Colour),
    Stripes(Colour, Colour, u32),
    Disc(Colour, Colour),
    /// A horizon: the colours of sky, ground, and sun or moon.
    Horizon(Colour, Colour, Colour),
    /// Mountains: the colours of sky and snow.
    Peaks(Colour, Colour),
    Checks(Colour, Colour, u32),
}

/// The folder, the name and the motif of each picture.
const PICTURES: [(&str, &str, Motif); 12] = [
    ("2026/spring", "meadow", Motif::Horizon(SKY, GRASS, SUN)),
    ("2026/spring", "blossom", Motif::Disc([250, 190, 210], SNOW)),
    ("2026/summer", "beach", Motif::Horizon(SKY, SAND, SUN)),
    ("2026/summer", "sea", Motif::Gradient(SKY, SEA)),
    ("2026/autumn", "leaves", Motif::Checks([200, 90, 20], [150, 60, 15], 12)),
    ("2026/autumn", "sunset", Motif::Gradient([60, 20, 80], [250, 130, 30])),
    ("2026/winter", "mountains", Motif::Peaks(SKY, SNOW)),
    ("2026/winter", "night", Motif::Horizon(NIGHT, [25, 30, 45], MOON)),
    ("city", "bricks", Motif::Checks(BRICK, [160, 45, 35], 24)),
    ("city", "crossing", Motif::Stripes(SNOW, [25, 25, 25], 16)),
    ("city", "fog", Motif::Gradient([150, 150, 150], [210, 210, 210])),
    ("city/signs", "stop", Motif::Disc([210, 20, 30], STONE)),
];

/// Draws about forty files into `folder`, creating it if necessary, and returns their number.
///
/// The pictures are PNG and JPEG files of at most 320 pixels a side, in subfolders. Two are exact copies, one has a space
/// and Chinese characters in its name, and one is a damaged JPEG. There are also a text file and an empty file. Drawing
/// again writes the same bytes.
///
/// # Errors
///
/// Returns an error if a folder or file cannot be written.
pub fn draw_samples(folder: &Path) -> io::Result<usize> {
    let mut files = 0;
    let mut write = |name: &str, bytes: &[u8]| -> io::Result<()> {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        files += 1;
        fs::write(path, bytes)
    };
    let mut first = Vec::new();
    for (number, (place, name, motif)) in PICTURES.into_iter().enumerate() {
        for (shape, (width, height)) in SHAPES.into_iter().enumerate() {
            let jpeg = (number + shape) % 2 == 0;
            let (format, suffix) =
                if jpeg { (ImageFormat::Jpeg, "jpg") } else { (ImageFormat::Png, "png") };
            let bytes = encode(&draw(motif, width, height), format)?;
            write(&format!("{place}/{name}-{}.{suffix}", shape + 1), &bytes)?;
            if first.is_empty() {
                first = bytes;
            }
        }
    }
    let harbour = draw(Motif::Horizon([200, 210, 220], SEA, MOON), 300, 180);
    write("2026/summer/海边 风景.jpg", &encode(&harbour, ImageFormat::Jpeg)?)?;
    write("copies/meadow-again.jpg", &first)?;
    write("copies/meadow-once-more.jpg", &first)?;
    write("damaged.jpg", &first[..first.len() / 8])?;
    write("empty.jpg", b"")?;
    write("notes.txt", b"This is no picture: a run skips it by its suffix.\n")?;
    Ok(files)
}

fn encode(picture: &RgbImage, format: ImageFormat) -> io::Result<Vec<u8>> {
    let mut bytes = io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).map_err(io::Error::other)?;
    Ok(bytes.into_inner())
}

fn draw(motif: Motif, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb(colour_at(motif, (x, y), (width, height))))
}

fn colour_at(motif: Motif, (x, y): (u32, u32), (width, height): (u32, u32)) -> Colour {
    match motif {
        Motif::Gradient(top, bottom) => between(top, bottom, y, height),
        Motif::Stripes(one, other, size) => pick((x / size).is_multiple_of(2), one, other),
        Motif::Checks(one, other, size) => {
            pick((x / size + y / size).is_multiple_of(2), one, other)
        }
        Motif::Disc(disc, ground) => {
            pick(in_disc((x, y), (width / 2, height / 2), width.min(height) / 3), disc, ground)
        }
        Motif::Horizon(sky, ground, light) => {
            if in_disc((x, y), (width * 3 / 4, height / 4), width.min(height) / 9) {
                light
            } else if y < height * 3 / 5 {
                between(sky, sky.map(|part| part.saturating_add(20)), y, height)
            } else {
                between(ground, ground.map(|part| part / 2 + 10), y - height * 3 / 5, height)
            }
        }
        Motif::Peaks(sky, snow) => {
            // There are three triangles side by side, with snow at the top and rock below.
            let third = (width / 3).max(1);
            let slope = (x % third).abs_diff(third / 2) * height / third;
            let top = height / 4 + slope;
            if y < top {
                sky
            } else if y < top + height / 6 {
                snow
            } else {
                between(STONE, [60, 62, 70], y, height)
            }
        }
    }
}

fn pick(first: bool, one: Colour, other: Colour) -> Colour {
    if first { one } else { other }
}

fn in_disc((x, y): (u32, u32), (middle_x, middle_y): (u32, u32), radius: u32) -> bool {
    x.abs_diff(middle_x).pow(2) + y.abs_diff(middle_y).pow(2) <= radius.pow(2)
}

fn between(from: Colour, to: Colour, at: u32, length: u32) -> Colour {
    let mix = |from: u8, to: u8| {
        let (left, passed) = (length.saturating_sub(at), at.min(length));
        let sum = u32::from(from) * left + u32::from(to) * passed;
        u8::try_from(sum / length.max(1)).unwrap_or(u8::MAX)
    };
    [mix(from[0], to[0]), mix(from[1], to[1]), mix(from[2], to[2])]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::emulator::folder::Folder;
    use crate::emulator::object::md5_hex;
    use crate::emulator::pixels;
    use crate::emulator::scenes::SceneSet;

    /// The names that all scenes together give a file.
    fn names(root: &Path, file: &str) -> Vec<&'static str> {
        let traits = pixels::read(&fs::read(root.join(file)).unwrap()).unwrap();
        let answer = traits.answer(SceneSet::parse("web,camera,album,news").unwrap());
        answer.into_iter().flat_map(|(_, labels)| labels).map(|label| label.name).collect()
    }

    #[test]
    fn the_sample_pictures_have_the_labels_of_their_motifs() {
        let root = tempfile::tempdir().unwrap();
        let files = draw_samples(root.path()).unwrap();
        let objects = Folder::open(root.path().to_owned()).unwrap().rescan();
        assert_eq!(objects.len(), files);
        let mut copies: BTreeMap<&str, u32> = BTreeMap::new();
        for object in objects.values().flatten() {
            *copies.entry(&object.etag).or_default() += 1;
        }
        assert_eq!(copies.values().filter(|count| **count == 3).count(), 1, "one drawn thrice");
        assert_eq!(copies.len(), files - 2);
        for (file, wanted) in [
            ("2026/summer/sea-2.jpg", &["蓝色", "横图", "冷色调"][..]),
            ("2026/winter/night-1.png", &["昏暗", "竖图"]),
            ("city/crossing-3.png", &["黑白", "高对比度", "方图"]),
            ("city/fog-1.jpg", &["灰色", "黑白", "竖图"]),
            ("city/signs/stop-1.png", &["红色", "灰色"]),
            ("2026/spring/meadow-1.jpg", &["绿色", "竖图"]),
            ("2026/summer/海边 风景.jpg", &["横图", "蓝色"]),
        ] {
            let names = names(root.path(), file);
            for name in wanted {
                assert!(names.iter().any(|found| found == name), "{file} {name}: {names:?}");
            }
        }
        for file in ["damaged.jpg", "empty.jpg", "notes.txt"] {
            assert_eq!(pixels::read(&fs::read(root.path().join(file)).unwrap()), None, "{file}");
        }
        let before = md5_hex(&fs::read(root.path().join("city/fog-1.jpg")).unwrap());
        draw_samples(root.path()).unwrap();
        assert_eq!(md5_hex(&fs::read(root.path().join("city/fog-1.jpg")).unwrap()), before);
    }
}
