//! A grid of a picture's pixels, on which everything is measured.

use image::{DynamicImage, GenericImageView as _};

/// The most pixels that are sampled along each side.
const GRID: u32 = 160;

/// A pixel: red, green and blue, and its brightness.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pixel {
    pub(super) rgb: [u8; 3],
    /// The perceived brightness from 0 to 255 (ITU-R BT.601).
    pub(super) luma: f64,
    /// The difference between the strongest and the weakest of red, green and blue.
    pub(super) chroma: f64,
}

impl Pixel {
    fn new([red, green, blue]: [u8; 3]) -> Self {
        let luma = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
        let chroma = f64::from(red.max(green).max(blue) - red.min(green).min(blue));
        Self { rgb: [red, green, blue], luma, chroma }
    }
}

/// At most 160 × 160 pixels of a picture, evenly spread.
pub(super) struct Sample {
    /// The size of the whole picture in pixels.
    pub(super) size: (u32, u32),
    columns: usize,
    pixels: Vec<Pixel>,
}

impl Sample {
    pub(super) fn of(picture: &DynamicImage) -> Self {
        let (width, height) = picture.dimensions();
        let (columns, rows) = (width.min(GRID), height.min(GRID));
        let at = |place: u32, length: u32, of: u32| {
            u32::try_from(u64::from(place) * u64::from(length) / u64::from(of)).unwrap_or(0)
        };
        let mut pixels = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                let [red, green, blue, _] =
                    picture.get_pixel(at(column, width, columns), at(row, height, rows)).0;
                pixels.push(Pixel::new([red, green, blue]));
            }
        }
        Self {
            size: (width, height),
            columns: usize::try_from(columns).unwrap_or(1).max(1),
            pixels,
        }
    }

    /// All pixels, row by row.
    pub(super) fn pixels(&self) -> &[Pixel] {
        &self.pixels
    }

    /// The rows from top to bottom.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = &[Pixel]> + ExactSizeIterator {
        self.pixels.chunks_exact(self.columns)
    }

    /// The mean of a value over all pixels.
    pub(super) fn mean(&self, value: impl Fn(&Pixel) -> f64) -> f64 {
        mean(self.pixels.iter().map(value))
    }

    /// The share of the pixels that something is true of, in percent.
    pub(super) fn percent(&self, is: impl Fn(&Pixel) -> bool) -> f64 {
        100.0 * self.mean(|pixel| f64::from(u8::from(is(pixel))))
    }
}

/// The mean of some values; 0 if there are none.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0_f64);
    for value in values {
        sum += value;
        count += 1.0;
    }
    sum / count.max(1.0)
}
