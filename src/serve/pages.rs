//! The addresses, and what each of them shows.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template as _;
use hyper::Uri;
use url::form_urlencoded;

use super::answer::{self, Answer};
use super::shell::{ICON, Problem, SCRIPT, STYLE, Shell};
use super::site::{Pictures, Site};
use super::state::State;
use super::{download, live};
use crate::store::read::{Sample, SurveyQuery};
use crate::store::{self, Reader};
use crate::view::explore::{self, Explore};
use crate::view::image::Image;
use crate::view::labels::{self, Labels};
use crate::view::live::Live;
use crate::view::overview::{self, Overview};
use crate::view::query::{Query, QueryError};
use crate::view::runs::Runs;
use crate::view::{Picture, Readings, Terms};
use crate::visible::visible;

/// How long the images of a page are searched, and how long the numbers of the facets are counted.
const SEARCH: Duration = Duration::from_millis(250);
const COUNT: Duration = Duration::from_millis(150);

/// The widths of a picture in a grid and of a preview, in pixels.
const SMALL: u32 = 480;
const LARGE: u32 = 1_440;

/// The largest file of a folder that is sent.
const LARGEST: u64 = 32 << 20;

const HTML: &str = "text/html; charset=utf-8";

/// A view that is made from the database.
#[derive(Debug, Clone)]
enum View {
    Overview,
    Explore,
    Image(i64),
    Labels,
    Runs,
}

/// Why a page is not shown.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Template(#[from] askama::Error),
    #[error("There is no such image.")]
    NoImage,
    #[error("The server ends.")]
    Ends,
}

/// The answer to a request that may be answered.
pub(super) async fn respond(state: &Arc<State>, uri: &Uri) -> Answer {
    let query = uri.query().unwrap_or_default().to_owned();
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number > 0);
    let view = match uri.path() {
        "/" => View::Overview,
        "/explore" => View::Explore,
        "/labels" => View::Labels,
        "/runs" => View::Runs,
        "/style.css" => return answer::whole(200, "text/css; charset=utf-8", STYLE),
        "/page.js" => return answer::whole(200, "text/javascript; charset=utf-8", SCRIPT),
        "/icon.svg" => return answer::whole(200, "image/svg+xml", ICON),
        "/live" => return live::follow(state),
        "/explore.csv" => return download::begin(state, &query, download::Form::Csv),
        "/explore.jsonl" => return download::begin(state, &query, download::Form::JsonLines),
        path => match path[1..].split_once('/') {
            Some(("image", id)) if let Some(id) = number(id) => View::Image(id),
            Some(("thumb", id)) if let Some(id) = number(id) => {
                return picture(state, id, SMALL).await;
            }
            Some(("picture", id)) if let Some(id) = number(id) => {
                return picture(state, id, LARGE).await;
            }
            _ => return answer::line(404, "There is no such page."),
        },
    };
    let Ok(_permit) = state.reads.acquire().await else {
        return answer::line(503, "The server ends.");
    };
    let state = Arc::clone(state);
    let made = tokio::task::spawn_blocking(move || page(&state, &view, &query)).await;
    made.unwrap_or_else(|error| {
        tracing::warn!(%error, "a page failed");
        answer::line(500, "The page failed. The messages of costag serve may tell more.")
    })
}

fn page(state: &State, view: &View, query: &str) -> Answer {
    let site = &state.site;
    let terms = (site.terms)();
    let made = content(state, view, query, &terms);
    let (status, shown) = match made {
        Ok(shown) => (200, shown),
        Err(fault) => problem(&fault),
    };
    let (current, has_pictures) = match view {
        View::Overview => ("overview", true),
        View::Explore => ("explore", true),
        View::Image(_) => ("image", true),
        View::Labels => ("labels", false),
        View::Runs => ("runs", false),
    };
    let source =
        if shown.source.is_empty() { String::new() } else { format!("{} · ", shown.source) };
    let page = Shell {
        title: format!("{} · {source}costag", shown.title),
        current,
        source: shown.source,
        running: shown.running,
        main: shown.main,
        no_pictures: if has_pictures { site.no_pictures() } else { "" },
        database: visible(&site.database.to_string_lossy()).into_owned(),
        made: terms.now(),
        again: status == 503,
    };
    match page.render() {
        Ok(html) => answer::whole(status, HTML, html),
        Err(error) => answer::line(500, &format!("The page failed: {error}")),
    }
}

/// The inside of a page.
#[derive(Default)]
struct Shown {
    title: String,
    source: String,
    running: String,
    main: String,
}

fn content(state: &State, view: &View, query: &str, terms: &Terms) -> Result<Shown, Fault> {
    let site = &state.site;
    let reader = Reader::open(&site.database)?;
    let live = Live::read(&reader, terms)?;
    let mut shown = Shown {
        source: source(&reader)?,
        running: live.as_ref().map_or_else(String::new, |live| live.name.clone()),
        ..Shown::default()
    };
    let picture = |sample: &Sample| {
        let is_there = site.has_pictures() && !is_url(&reader, sample);
        is_there.then(|| Picture::Address(format!("/thumb/{}", sample.content_id)))
    };
    let readings = || -> Result<Arc<Readings>, Fault> {
        let samples = if site.has_pictures() { overview::FRAMES } else { 0 };
        let query = SurveyQuery { sampled: overview::SHEET, samples, beside: labels::SHOWN };
        let readings = site.kept.get(&reader, query, &terms.zone, || state.goes_on())?;
        readings.ok_or(Fault::Ends)
    };
    (shown.title, shown.main) = match view {
        View::Overview => {
            let view = Overview::of(&*readings()?, terms, picture);
            (view.title.clone(), view.render()?)
        }
        View::Labels => ("Labels".to_owned(), Labels::of(&*readings()?, terms).render()?),
        View::Runs => {
            let mut view = Runs::of(&*readings()?, terms);
            view.live = live;
            view.follows = true;
            ("Runs".to_owned(), view.render()?)
        }
        View::Explore => {
            let query = Query::of(form_urlencoded::parse(query.as_bytes()))?;
            let within = |time: Duration| {
                let begun = Instant::now();
                move || begun.elapsed() < time && state.goes_on()
            };
            let page = reader.pictures(&query.pick, query.after, explore::SHOWN, within(SEARCH))?;
            let facets = reader.facets(&query.pick, within(COUNT))?;
            let view = Explore::of(&query, &page, &facets, terms, picture);
            (view.title.clone(), view.render()?)
        }
        View::Image(id) => {
            // Read and written again, so that only an address of Explore can come out.
            let back = Query::of(form_urlencoded::parse(query.as_bytes()))?;
            let record = reader.image(*id)?.ok_or(Fault::NoImage)?;
            let is_there = record.keys.iter().any(|key| !key.gone && !key.is_url);
            let picture = (site.has_pictures() && is_there)
                .then(|| Picture::Address(format!("/picture/{id}")));
            let view = Image::of(&record, &back, terms, picture);
            (view.title.clone(), view.render()?)
        }
    };
    reader.unchanged()?;
    Ok(shown)
}

/// Whether an image is a URL, which no link to a bucket can show.
fn is_url(_: &Reader, sample: &Sample) -> bool {
    sample.key.starts_with("http://") || sample.key.starts_with("https://")
}

fn source(reader: &Reader) -> Result<String, store::Error> {
    let run = reader.last_run()?;
    Ok(run.map_or_else(String::new, |run| visible(&run.bucket).into_owned()))
}

fn problem(fault: &Fault) -> (u16, Shown) {
    let (status, title) = match fault {
        Fault::Store(store::Error::Missing { .. }) => (503, "There is no database here."),
        Fault::Store(_) => (503, "The database cannot be read now."),
        Fault::Query(_) => (400, "This address cannot be understood."),
        Fault::Template(_) => (500, "The page failed."),
        Fault::NoImage => (404, "There is no such image."),
        Fault::Ends => (503, "The server ends."),
    };
    let mut text = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    if status == 503 {
        text.push_str(". This page tries again every five seconds.");
    }
    let main = Problem { title, text: visible(&text).into_owned() }.render().unwrap_or_default();
    (status, Shown { title: title.to_owned(), main, ..Shown::default() })
}

/// Leads to a picture of an image, or sends it if it is in a folder.
async fn picture(state: &Arc<State>, id: i64, width: u32) -> Answer {
    let found = {
        let Ok(_permit) = state.reads.acquire().await else {
            return answer::line(503, "The server ends.");
        };
        let state = Arc::clone(state);
        let look = move || {
            let sample = Reader::open(&state.site.database)?.a_key(id)?;
            Ok::<_, store::Error>((sample.clone(), from_folder(&state.site, sample)))
        };
        tokio::task::spawn_blocking(look).await
    };
    let (sample, file) = match found {
        Ok(Ok((Some(sample), file))) => (sample, file),
        Ok(Ok((None, _))) => return answer::line(404, "There is no such image."),
        Ok(Err(error)) => return answer::line(503, &visible(&error.to_string())),
        Err(_) => return answer::line(500, "The page failed."),
    };
    match &state.site.pictures {
        Pictures::None(why) => answer::line(404, why),
        Pictures::Folder(_) => match file {
            Some((kind, bytes)) => answer::whole(200, kind, bytes),
            None => answer::line(404, "There is no such picture."),
        },
        Pictures::Links { sign, .. } => match sign(sample, width).await {
            // Not kept: the link ends.
            Ok(link) => answer::redirect(302, &link, None),
            Err(why) => answer::line(502, &visible(&why)),
        },
    }
}

/// The kind and the bytes of a picture in the folder, if there is one. A key that leads out of it is no picture.
fn from_folder(site: &Site, sample: Option<Sample>) -> Option<(&'static str, Vec<u8>)> {
    let (Pictures::Folder(folder), Some(sample)) = (&site.pictures, sample) else { return None };
    let key = Path::new(&sample.key);
    if !key.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let file = File::open(folder.join(key)).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    // Only what begins as a picture is sent as one.
    let kind = match &bytes[..] {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        _ => return None,
    };
    Some((kind, bytes))
}
