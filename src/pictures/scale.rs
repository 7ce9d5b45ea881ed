//! Small copies of pictures.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, overlay};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageReader, Limits, Rgba, RgbaImage};

/// The quality of the JPEG.
const QUALITY: u8 = 78;

/// The largest side of a picture that is decoded, and the memory that this may take.
const MAX_SIDE: u32 = 12_000;
const MAX_MEMORY: u64 = 512 << 20;

/// The ground on which transparent pictures are shown.
const WHITE: Rgba<u8> = Rgba([255; 4]);

/// The bytes of a picture cannot be shown: they are no picture that can be decoded, or too large.
#[derive(Debug, thiserror::Error)]
#[error("the picture cannot be decoded")]
pub struct Unusable(#[from] ImageError);

/// The middle of a picture as a square JPEG with sides of this many pixels.
///
/// # Errors
/// [`Unusable`].
pub fn square(bytes: &[u8], side: u32) -> Result<Vec<u8>, Unusable> {
    jpeg(&decoded(bytes)?.resize_to_fill(side, side, FilterType::Triangle))
}

/// A whole picture as a JPEG, with no side longer than this many pixels. A smaller picture keeps its size.
///
/// # Errors
/// [`Unusable`].
pub fn fit(bytes: &[u8], side: u32) -> Result<Vec<u8>, Unusable> {
    let whole = decoded(bytes)?;
    if whole.width().max(whole.height()) <= side {
        return jpeg(&whole);
    }
    jpeg(&whole.resize(side, side, FilterType::Triangle))
}

fn decoded(bytes: &[u8]) -> Result<DynamicImage, Unusable> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(ImageError::from)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    // A picture whose metadata are damaged is shown as it is stored, as browsers do.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn jpeg(picture: &DynamicImage) -> Result<Vec<u8>, Unusable> {
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    if picture.color().has_alpha() {
        // A JPEG knows no transparency, and the colour of a transparent pixel can be any.
        let mut ground = RgbaImage::from_pixel(picture.width(), picture.height(), WHITE);
        overlay(&mut ground, &picture.to_rgba8(), 0, 0);
        encoder.encode_image(&DynamicImage::from(ground).to_rgb8())?;
    } else {
        encoder.encode_image(&picture.to_rgb8())?;
    }
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder as _, ImageFormat, RgbImage};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::wide((900, 300), (100, 33))]
    #[case::tall((20, 4_000), (1, 100))]
    #[case::small((30, 40), (30, 40))]
    fn a_copy_is_no_larger_than_asked_and_no_larger_than_the_picture(
        #[case] size: (u32, u32),
        #[case] expected: (u32, u32),
    ) {
        let mut png = Cursor::new(Vec::new());
        RgbaImage::from_pixel(size.0, size.1, Rgba([200, 10, 10, 255]))
            .write_to(&mut png, ImageFormat::Png)
            .unwrap();
        let size = |jpeg: &[u8]| {
            assert_eq!(image::guess_format(jpeg).unwrap(), ImageFormat::Jpeg);
            let decoded = image::load_from_memory(jpeg).unwrap();
            (decoded.width(), decoded.height())
        };
        assert_eq!(size(&fit(png.get_ref(), 100).unwrap()), expected);
        assert_eq!(size(&square(png.get_ref(), 50).unwrap()), (50, 50));
        let half = &png.get_ref()[..png.get_ref().len() / 2];
        assert!(fit(half, 100).is_err() && square(half, 50).is_err());
        assert!(fit(b"no picture", 100).is_err());
    }

    /// A JPEG of 40 x 20 pixels, whose left half is red and whose metadata have this orientation.
    fn turned(orientation: u8) -> Vec<u8> {
        let red = |x| if x < 20 { [220, 10, 10] } else { [10, 10, 220] };
        let picture = RgbImage::from_fn(40, 20, |x, _| image::Rgb(red(x)));
        // A TIFF header and one entry: the tag of the orientation, a short number.
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        let mut jpeg = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 95);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(&picture, 40, 20, ExtendedColorType::Rgb8).unwrap();
        jpeg
    }

    #[rstest]
    #[case::as_stored(1, (40, 20), (5, 10))]
    #[case::upside_down(3, (40, 20), (35, 10))]
    #[case::a_quarter_clockwise(6, (20, 40), (10, 5))]
    #[case::a_quarter_the_other_way(8, (20, 40), (10, 35))]
    #[case::no_orientation(77, (40, 20), (5, 10))]
    fn a_copy_is_turned_as_its_camera_was(
        #[case] orientation: u8,
        #[case] size: (u32, u32),
        #[case] red: (u32, u32),
    ) {
        let copy = fit(&turned(orientation), 100).unwrap();
        let copy = image::load_from_memory(&copy).unwrap().into_rgb8();
        assert_eq!(copy.dimensions(), size);
        assert!(copy.get_pixel(red.0, red.1)[0] > 180, "{:?}", copy.get_pixel(red.0, red.1));
    }

    #[test]
    fn what_is_transparent_is_white_whatever_its_colour_is() {
        let mut png = Cursor::new(Vec::new());
        let clear = |x| if x < 20 { Rgba([10, 200, 10, 0]) } else { Rgba([10, 10, 200, 255]) };
        RgbaImage::from_fn(40, 40, |x, _| clear(x)).write_to(&mut png, ImageFormat::Png).unwrap();
        for copy in [fit(png.get_ref(), 20).unwrap(), square(png.get_ref(), 20).unwrap()] {
            let copy = image::load_from_memory(&copy).unwrap().into_rgb8();
            assert!(copy.get_pixel(3, 10).0.iter().all(|part| *part > 240), "{copy:?}");
            assert!(copy.get_pixel(16, 10)[2] > 150 && copy.get_pixel(16, 10)[0] < 60, "{copy:?}");
        }
    }
}
