//! The pictures of a report: small squares that are part of the file.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::pictures;

/// The length of a side in pixels: about twice the size at which the largest are shown.
const SIDE: u32 = 192;

/// The most bytes of all pictures, as they are in the file. With the views, a report stays below 8 MB.
const ROOM: usize = 7_000_000;

/// The pictures of a report. Each picture is in the file once, however often it is shown.
#[derive(Debug, Default)]
pub struct Album {
    pictures: Vec<Embedded>,
    /// The bytes of all pictures.
    size: usize,
    /// The place of the picture of each image; `None` if it has none.
    places: HashMap<i64, Option<usize>>,
}

/// A picture of a report.
#[derive(Debug)]
pub(super) struct Embedded {
    pub(super) id: String,
    pub(super) data: String,
}

impl Album {
    /// The id of the element that draws the picture of an image. The first time, `load` is asked for the bytes of the
    /// image. Returns `None` if it has none, if they cannot be decoded, or if there is no room for it.
    pub fn picture(
        &mut self,
        content_id: i64,
        load: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<String> {
        let place = if let Some(place) = self.places.get(&content_id) {
            *place
        } else {
            let square = load().and_then(|bytes| pictures::square(&bytes, SIDE).ok());
            let data = square
                .map(|jpeg| format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)));
            let place = data.filter(|data| self.size + data.len() <= ROOM).map(|data| {
                self.size += data.len();
                self.pictures.push(Embedded { id: format!("p{}", self.pictures.len()), data });
                self.pictures.len() - 1
            });
            self.places.insert(content_id, place);
            place
        };
        place.map(|place| self.pictures[place].id.clone())
    }

    pub(super) fn pictures(&self) -> &[Embedded] {
        &self.pictures
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    #[test]
    fn a_picture_becomes_a_small_square_and_is_loaded_once() {
        let mut png = Cursor::new(Vec::new());
        RgbImage::from_pixel(300, 40, Rgb([200, 10, 10]))
            .write_to(&mut png, ImageFormat::Png)
            .unwrap();
        let mut album = Album::default();
        assert_eq!(album.picture(7, || Some(png.into_inner())).as_deref(), Some("p0"));
        assert_eq!(album.picture(7, || panic!("it was loaded before")).as_deref(), Some("p0"));
        let data = album.pictures()[0].data.strip_prefix("data:image/jpeg;base64,").unwrap();
        let jpeg = image::load_from_memory(&BASE64_STANDARD.decode(data).unwrap()).unwrap();
        assert_eq!((jpeg.width(), jpeg.height()), (SIDE, SIDE));
        for (content, bytes) in [(8, None), (9, Some(b"no picture".to_vec()))] {
            assert_eq!(album.picture(content, || bytes), None);
            assert_eq!(album.picture(content, || panic!("it was tried before")), None);
        }
        assert_eq!(album.pictures().len(), 1);
    }

    /// A picture of 192 pixels a side whose bytes vary by up to `noise` from one pixel to the next.
    fn varied(seed: u32, noise: u32) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
            Rgb([x, y, x + y].map(|slope| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u8::try_from(slope / 4 + (state >> 16) % noise).unwrap()
            }))
        });
        let mut png = Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png).unwrap();
        png.into_inner()
    }

    #[test]
    fn an_album_of_the_most_pictures_keeps_a_report_below_8_mb() {
        let fill = |noise| {
            let mut album = Album::default();
            for content in 0..240_u32 {
                album.picture(content.into(), || Some(varied(content, noise)));
            }
            let size: usize = album.pictures().iter().map(|picture| picture.data.len()).sum();
            (album.pictures().len(), size)
        };
        // Photographs of many details.
        let (count, size) = fill(40);
        assert!(count == 240 && size < ROOM, "{count} pictures of {size} bytes");
        // Nothing but noise.
        let (count, size) = fill(150);
        assert!(count < 240 && size <= ROOM, "{count} pictures of {size} bytes");
    }
}
