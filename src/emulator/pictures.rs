//! The pictures of the demo: small drawn scenes, stored as WebP in the program and written as a bucket of JPEG and PNG.

use std::fs;
use std::io;
use std::path::Path;

use image::{DynamicImage, ImageFormat};
use include_dir::{Dir, include_dir};

/// The scenes, 240 × 180 pixels each.
static SCENES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/emulator/pictures");

/// What is kept of a scene: all of it, or its middle as a portrait or a square.
#[derive(Clone, Copy)]
enum Crop {
    Landscape,
    Portrait,
    Square,
}

use Crop::{Landscape, Portrait, Square};

/// A folder of the bucket, the format and the shape of its pictures, and the names of their scenes.
type Album = (&'static str, ImageFormat, Crop, &'static [&'static str]);

const ALBUMS: [Album; 30] = [
    (
        "animals/cats",
        ImageFormat::Jpeg,
        Square,
        &["blackcat", "cat", "cat2", "cat3", "cat4", "greycat"],
    ),
    ("animals/dogs", ImageFormat::Jpeg, Portrait, &["dog", "dog2", "dog3", "dog4"]),
    ("animals/aquarium", ImageFormat::Jpeg, Landscape, &["fish", "fish2", "fish3"]),
    ("city/day", ImageFormat::Jpeg, Landscape, &["cbd", "cbd2"]),
    ("city/night", ImageFormat::Jpeg, Landscape, &["city", "city2", "nightcar", "rain", "rain2"]),
    ("city/bridges", ImageFormat::Jpeg, Landscape, &["bridge", "bridge2", "bridge3", "bridge4"]),
    (
        "city/traffic",
        ImageFormat::Jpeg,
        Landscape,
        &["car", "car2", "car3", "car4", "car5", "train"],
    ),
    ("documents/contracts", ImageFormat::Png, Portrait, &["contract", "doc2", "doc3"]),
    ("documents/invoices", ImageFormat::Png, Portrait, &["doc4", "invoice"]),
    ("documents/screens", ImageFormat::Png, Landscape, &["screen", "screen2", "screen3"]),
    ("events/concert", ImageFormat::Jpeg, Landscape, &["concert", "crowd2", "crowd3"]),
    ("events/fireworks", ImageFormat::Jpeg, Landscape, &["fireworks", "fireworks2", "fireworks3"]),
    ("events/元宵节 灯会", ImageFormat::Jpeg, Landscape, &["lantern", "lantern2", "lantern3"]),
    (
        "food/coffee",
        ImageFormat::Jpeg,
        Square,
        &["coffee", "coffee2", "coffee3", "coffee4", "coffee5"],
    ),
    (
        "food/fruit",
        ImageFormat::Jpeg,
        Square,
        &["apple", "lemon", "lime", "orange", "peach", "plum"],
    ),
    ("food/noodles", ImageFormat::Jpeg, Landscape, &["noodles", "noodles2", "noodles3"]),
    (
        "garden",
        ImageFormat::Jpeg,
        Square,
        &["flower2", "flower3", "flower4", "lotus", "peony", "sunflower"],
    ),
    ("home", ImageFormat::Jpeg, Landscape, &["books", "books2", "books3", "room"]),
    (
        "people/portraits",
        ImageFormat::Jpeg,
        Portrait,
        &["hat", "hat2", "her", "her2", "her3", "her4"],
    ),
    ("shop/bottles", ImageFormat::Png, Portrait, &["bottle", "bottle2", "bottle3", "bottle4"]),
    ("travel/2025/balloons", ImageFormat::Jpeg, Landscape, &["balloons", "balloons2"]),
    (
        "travel/2025/coast",
        ImageFormat::Jpeg,
        Landscape,
        &["beach", "beach2", "bluesea", "sea2", "sea3"],
    ),
    ("travel/2025/dunes", ImageFormat::Jpeg, Landscape, &["dunes", "dunes2", "dunes3"]),
    ("travel/2025/pagodas", ImageFormat::Jpeg, Portrait, &["pagoda", "pagoda2", "pagoda3"]),
    ("travel/2026/bamboo", ImageFormat::Jpeg, Portrait, &["bamboo", "bamboo2"]),
    ("travel/2026/camp", ImageFormat::Jpeg, Landscape, &["moon", "stars", "stars2"]),
    ("travel/2026/forest", ImageFormat::Jpeg, Landscape, &["forest", "forest2", "forest3"]),
    (
        "travel/2026/mountains",
        ImageFormat::Jpeg,
        Landscape,
        &["alps", "autumn", "dawn", "mount2", "mount3", "mount4"],
    ),
    ("travel/2026/sunset", ImageFormat::Jpeg, Landscape, &["sea4", "sea5", "sunset"]),
    (
        "travel/2026/winter",
        ImageFormat::Jpeg,
        Landscape,
        &["snow", "snow2", "snow3", "terraces", "terraces2"],
    ),
];

/// Writes about 120 files into `folder`, creating it if necessary, and returns their number.
///
/// The pictures are PNG and JPEG files of at most 240 pixels a side, in subfolders. Two are exact copies, some have a space
/// and Chinese characters in their names, and one is a damaged JPEG. There are also a text file and an empty file. Writing
/// again writes the same bytes.
///
/// # Errors
///
/// Returns an error if a folder or file cannot be written.
pub fn write_samples(folder: &Path) -> io::Result<usize> {
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
    for (album, format, crop, scenes) in ALBUMS {
        for scene in scenes {
            let bytes = encode(&cropped(&decode(scene)?, crop), format)?;
            let suffix = if format == ImageFormat::Jpeg { "jpg" } else { "png" };
            write(&format!("{album}/{scene}.{suffix}"), &bytes)?;
            if first.is_empty() {
                first = bytes;
            }
        }
    }
    write("backup/blackcat.jpg", &first)?;
    write("backup/blackcat (1).jpg", &first)?;
    write("backup/damaged.jpg", &first[..first.len() / 8])?;
    write("backup/empty.jpg", b"")?;
    write("notes.txt", b"This is no picture: a run skips it by its suffix.\n")?;
    Ok(files)
}

/// Reads a scene of the program.
fn decode(name: &str) -> io::Result<DynamicImage> {
    let file = SCENES
        .get_file(format!("{name}.webp"))
        .ok_or_else(|| io::Error::other(format!("the program has no picture {name}.webp")))?;
    image::load_from_memory_with_format(file.contents(), ImageFormat::WebP)
        .map_err(io::Error::other)
}

/// Cuts the middle out of a picture: three quarters as wide as high for a portrait.
fn cropped(picture: &DynamicImage, crop: Crop) -> DynamicImage {
    let (width, height) = (picture.width(), picture.height());
    let kept = match crop {
        Landscape => width,
        Portrait => height * 3 / 4,
        Square => height,
    }
    .min(width);
    picture.crop_imm((width - kept) / 2, 0, kept, height)
}

fn encode(picture: &DynamicImage, format: ImageFormat) -> io::Result<Vec<u8>> {
    let mut bytes = io::Cursor::new(Vec::new());
    picture.to_rgb8().write_to(&mut bytes, format).map_err(io::Error::other)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

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
    fn every_scene_of_the_program_is_in_one_album() {
        let stored: BTreeSet<_> =
            SCENES.files().filter_map(|file| file.path().file_stem()?.to_str()).collect();
        let used: Vec<_> = ALBUMS.iter().flat_map(|album| album.3.iter().copied()).collect();
        assert_eq!(used.len(), stored.len());
        assert_eq!(used.into_iter().collect::<BTreeSet<_>>(), stored);
        let size: usize = SCENES.files().map(|file| file.contents().len()).sum();
        assert!(size < 400_000, "{size} bytes of pictures in the program");
    }

    #[test]
    fn the_sample_pictures_have_labels_that_are_true_of_them() {
        let root = tempfile::tempdir().unwrap();
        let files = write_samples(root.path()).unwrap();
        let objects = Folder::open(root.path().to_owned()).unwrap().rescan();
        assert_eq!(objects.len(), files);
        let mut copies: BTreeMap<&str, u32> = BTreeMap::new();
        for object in objects.values().flatten() {
            *copies.entry(&object.etag).or_default() += 1;
        }
        assert_eq!(copies.values().filter(|count| **count == 3).count(), 1, "one written thrice");
        assert_eq!(copies.len(), files - 2);
        for (file, wanted) in [
            ("travel/2025/coast/bluesea.jpg", &["蓝色", "横图", "冷色调"][..]),
            ("travel/2026/camp/stars.jpg", &["昏暗", "横图"]),
            ("travel/2026/bamboo/bamboo.jpg", &["绿色", "竖图", "色彩单纯"]),
            ("travel/2026/forest/forest.jpg", &["绿色", "横图", "竖线条"]),
            ("food/fruit/apple.jpg", &["红色", "方图", "主体居中"]),
            ("events/元宵节 灯会/lantern.jpg", &["暖色调"]),
            ("travel/2026/mountains/mount4.jpg", &["米色", "上明下暗"]),
            ("animals/cats/greycat.jpg", &["灰色", "方图"]),
            ("documents/screens/screen.png", &["横图", "明亮"]),
            ("events/fireworks/fireworks.jpg", &["暗处亮点"]),
        ] {
            let names = names(root.path(), file);
            for name in wanted {
                assert!(names.iter().any(|found| found == name), "{file} {name}: {names:?}");
            }
        }
        for file in ["backup/damaged.jpg", "backup/empty.jpg", "notes.txt"] {
            assert_eq!(pixels::read(&fs::read(root.path().join(file)).unwrap()), None, "{file}");
        }
        let before = md5_hex(&fs::read(root.path().join("food/coffee/coffee.jpg")).unwrap());
        write_samples(root.path()).unwrap();
        assert_eq!(md5_hex(&fs::read(root.path().join("food/coffee/coffee.jpg")).unwrap()), before);
    }
}
