//! Answers GET Object with the whole object, or with a small copy if a parameter `imageMogr2/thumbnail/…` asks for one.
//!
//! A computed picture has no bytes. A drawing that its `ETag` decides takes their place.

use std::io::Cursor;
use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::answer::{Answer, Body, Dropped};
use super::catalogue::Catalogue;
use super::hash;
use super::head::{Found, described, found};
use super::misbehave::archived;
use super::object::Object;
use super::pixels;
use super::state::{Asked, State};

/// How the name of the parameter begins.
const THUMBNAIL: &str = "imageMogr2/thumbnail/";

/// The largest side that the service makes, in pixels.
const SIDE_MAX: u32 = 9_999;

/// The width and height of the drawing of a computed picture, in pixels.
const DRAWN: (u32, u32) = (240, 180);

/// Answers GET Object without the header `Range`.
pub(super) async fn get(state: &Arc<State>, asked: &Asked) -> Result<Answer, Dropped> {
    state.stats.got();
    let object = match found(state, asked, 1).await? {
        Found::Object(object) | Found::WithoutLength(object) => object,
        Found::Refused(refused) => return Ok(refused),
    };
    if object.is_archived() {
        return Ok(archived(&asked.stamp));
    }
    let within = match wanted(asked) {
        Ok(within) => within,
        Err(message) => return Ok(asked.stamp.error(400, "InvalidArgument", message)),
    };
    let shared = Arc::clone(state);
    let shown = object.clone();
    let made = tokio::task::spawn_blocking(move || {
        let bytes = content(&shared.catalogue, &shown)?;
        match within {
            None => Some((bytes, None)),
            Some(within) => Some((scaled(&bytes, within)?, Some("image/jpeg"))),
        }
    });
    let Some((bytes, kind)) = made.await.ok().flatten() else {
        let message = "Image format is not supported.";
        return Ok(asked.stamp.error(400, "InvalidImageFormat", message));
    };
    let mut answer = described(200, &object);
    let known = || image::guess_format(&bytes).ok().map(|format| format.to_mime_type());
    if let Some(kind) = kind.or_else(known) {
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    *answer.body_mut() = Body::Whole(bytes.into());
    Ok(answer)
}

/// The width and height that a copy may have at most; `None` if the object itself is asked for.
fn wanted(asked: &Asked) -> Result<Option<(u32, u32)>, &'static str> {
    let Some((name, _)) = asked.parameters.iter().find(|(name, _)| name.starts_with(b"imageMogr2"))
    else {
        return Ok(None);
    };
    let unknown = "The emulator knows only imageMogr2/thumbnail/<Width>x<Height>>.";
    let sides = std::str::from_utf8(name)
        .ok()
        .and_then(|name| name.strip_prefix(THUMBNAIL)?.strip_suffix('>')?.split_once('x'))
        .and_then(|(width, height)| {
            Some((width.parse::<u32>().ok()?, height.parse::<u32>().ok()?))
        });
    match sides {
        Some((width, height)) if (1..=SIDE_MAX).contains(&width.min(height)) => {
            Ok(Some((width.min(SIDE_MAX), height.min(SIDE_MAX))))
        }
        _ => Err(unknown),
    }
}

/// The bytes of an object; `None` if a computed object is no picture, or if a file cannot be read.
fn content(catalogue: &Catalogue, object: &Object) -> Option<Vec<u8>> {
    match catalogue {
        Catalogue::Folder(folder) => folder.bytes(&object.key),
        Catalogue::Synthetic { .. } if object.is_image => drawn(&object.etag),
        Catalogue::Synthetic { .. } => None,
    }
}

/// A picture whose colours depend on a text.
fn drawn(text: &str) -> Option<Vec<u8>> {
    let hash = hash::of_bytes(0, text.as_bytes());
    let colour = |shift: u32| {
        let part = |more: u32| 60 + ((hash >> (shift + more)) & 0x7f) as u8;
        Rgb([part(0), part(8), part(16)])
    };
    let (above, below) = (colour(0), colour(24));
    let horizon = DRAWN.1 / 3 + (hash >> 48) as u32 % (DRAWN.1 / 3);
    let picture =
        RgbImage::from_fn(DRAWN.0, DRAWN.1, |_, y| if y < horizon { above } else { below });
    encoded(&DynamicImage::from(picture), ImageFormat::Png)
}

/// A JPEG copy that is no larger than this and no larger than the picture.
fn scaled(bytes: &[u8], (width, height): (u32, u32)) -> Option<Vec<u8>> {
    let picture = pixels::decode(bytes)?;
    let fits = picture.width() <= width && picture.height() <= height;
    let copy = if fits { picture } else { picture.resize(width, height, FilterType::Triangle) };
    encoded(&DynamicImage::from(copy.to_rgb8()), ImageFormat::Jpeg)
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Option<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).ok()?;
    Some(bytes.into_inner())
}
