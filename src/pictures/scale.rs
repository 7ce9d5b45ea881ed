//! Small copies of pictures.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageError, ImageReader, Limits};

/// The quality of the JPEG.
const QUALITY: u8 = 78;

/// The largest side of a picture that is decoded, and the memory that this may take.
const MAX_SIDE: u32 = 12_000;
const MAX_MEMORY: u64 = 512 << 20;

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
    reader.limits(limits);
    Ok(reader.decode()?)
}

fn jpeg(picture: &DynamicImage) -> Result<Vec<u8>, Unusable> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&picture.to_rgb8())?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgba, RgbaImage};
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
}
