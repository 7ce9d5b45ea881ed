//! The picture of an image: from a folder, or a link to another host.

use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, HeaderValue};

use super::answer::{self, Answer};
use super::site::Pictures;
use super::state::State;
use crate::pictures;
use crate::store::read::Sample;
use crate::store::{self, Reader};
use crate::visible::visible;

/// The picture that is sent in place of one that is not there or cannot be decoded. It is transparent, so the background of
/// the page shows through.
const TILE: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"/>"#;

/// How long a browser may keep the answer, which may be a redirect to a signed link: much shorter than a link is valid, and
/// never in a shared cache.
const KEPT: &str = "private, max-age=300";

/// Sends a picture of an image with sides of at most this many pixels, or leads to it.
pub(super) async fn picture(state: &Arc<State>, id: i64, side: u32) -> Answer {
    let sample = match sample(state, id).await {
        Ok(Some(sample)) => sample,
        Ok(None) => return answer::line(404, "There is no such image."),
        Err(problem) => return problem,
    };
    match &state.site.pictures {
        Pictures::None(why) => answer::line(404, why),
        _ if !state.site.shows(&sample.bucket, &sample.key) => {
            answer::whole(404, "image/svg+xml", TILE)
        }
        Pictures::Folder(_) => match from_folder(state, sample.key, side).await {
            Some(jpeg) => answer::whole(200, "image/jpeg", jpeg),
            None => answer::whole(404, "image/svg+xml", TILE),
        },
        Pictures::Links { sign, .. } => match sign(sample, side).await {
            Ok(link) => {
                let mut answer = answer::redirect(302, &link, None);
                answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(KEPT));
                answer
            }
            Err(why) => answer::line(502, &visible(&why)),
        },
    }
}

/// One of the keys of an image, or what is answered if it cannot be read.
async fn sample(state: &Arc<State>, id: i64) -> Result<Option<Sample>, Answer> {
    let Ok(_permit) = state.reads.acquire().await else {
        return Err(answer::line(503, "The server is stopping."));
    };
    let state = Arc::clone(state);
    let look = move || Reader::open(&state.site.database)?.a_key(id);
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(sample)) => Ok(sample),
        Ok(Err(error)) => Err(problem(&error)),
        Err(_) => Err(answer::line(500, "The page failed.")),
    }
}

fn problem(error: &store::Error) -> Answer {
    answer::line(503, &visible(&error.to_string()))
}

/// A small JPEG of the picture with this key, if the folder has one.
async fn from_folder(state: &Arc<State>, key: String, side: u32) -> Option<Vec<u8>> {
    let permit = Arc::clone(&state.decoders).acquire_owned().await.ok()?;
    let state = Arc::clone(state);
    let small = move || {
        // Decoding goes on when the browser no longer waits, and holds its permit until then.
        let _permit = permit;
        let Pictures::Folder(folder) = &state.site.pictures else { return None };
        pictures::fit(&folder.read(&key)?, side).ok()
    };
    tokio::task::spawn_blocking(small).await.ok().flatten()
}
