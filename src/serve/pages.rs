//! The addresses, and what each of them shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template as _;
use hyper::Uri;
use jiff::Timestamp;
use url::form_urlencoded;

use super::answer::{self, Answer};
use super::picture::picture;
use super::shell::{ICON, Problem, SCRIPT, STYLE, Shell};
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
use crate::view::{Readings, Terms};
use crate::visible::visible;

/// How long the images of a page are searched, and how long the numbers of the facets are counted.
const SEARCH: Duration = Duration::from_millis(250);
const COUNT: Duration = Duration::from_millis(150);

/// The longest sides of a picture in a grid and of a preview, in pixels.
const SMALL: u32 = 480;
const LARGE: u32 = 1_440;

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
    #[error("The server is stopping.")]
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
        "/explore.csv" => return download::begin(state, &query, download::Form::Csv).await,
        "/explore.jsonl" => return download::begin(state, &query, download::Form::JsonLines).await,
        path => match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
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
        return answer::line(503, "The server is stopping.");
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
        made: shown.made.map_or_else(|| terms.now(), |at| Terms { now: at, ..terms.clone() }.now()),
        again: status == 503,
    };
    match page.render() {
        Ok(html) => answer::whole(status, HTML, html),
        Err(error) => answer::line(500, &format!("The page failed: {error}")),
    }
}

/// The part of a page that belongs to its view.
#[derive(Default)]
struct Shown {
    title: String,
    source: String,
    running: String,
    main: String,
    /// The time of the numbers, if they were counted before this page was asked for.
    made: Option<Timestamp>,
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
        let is_there = site.shows(&sample.bucket, &sample.key);
        is_there.then(|| site.picture(format!("/thumb/{}", sample.content_id)))
    };
    let mut made = None;
    let mut readings = || -> Result<Arc<Readings>, Fault> {
        let samples = if site.has_pictures() { overview::FRAMES } else { 0 };
        let query = SurveyQuery { sampled: overview::SHEET, samples, beside: labels::SHOWN };
        let readings = site.kept.get(&reader, query, terms, || state.goes_on())?;
        let (readings, at) = readings.ok_or(Fault::Ends)?;
        made = Some(at);
        Ok(readings)
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
            let (images, labels) = (explore::SHOWN, Some(explore::SHOWN_LABELS));
            let page = reader.pictures(&query.pick, query.after, images, labels, within(SEARCH))?;
            let facets = reader.facets(&query.pick, within(COUNT))?;
            let view = Explore::of(&query, &page, &facets, terms, picture);
            (view.title.clone(), view.render()?)
        }
        View::Image(id) => {
            // The query is parsed and written again, so that the link back can only lead to Explore.
            let back = Query::of(form_urlencoded::parse(query.as_bytes()))?;
            let record = reader.image(*id)?.ok_or(Fault::NoImage)?;
            let mut present = record.keys.iter().filter(|key| !key.gone && !key.is_url);
            let is_there = present.any(|key| site.shows(&key.bucket, &key.key));
            let picture = is_there.then(|| site.picture(format!("/picture/{id}")));
            let view = Image::of(&record, &back, terms, picture);
            (view.title.clone(), view.render()?)
        }
    };
    reader.unchanged()?;
    shown.made = made;
    Ok(shown)
}

fn source(reader: &Reader) -> Result<String, store::Error> {
    let run = reader.last_run()?;
    Ok(run.map_or_else(String::new, |run| visible(&run.bucket).into_owned()))
}

fn problem(fault: &Fault) -> (u16, Shown) {
    let (status, title) = match fault {
        Fault::Store(store::Error::Missing { .. }) => (503, "There is no database here."),
        Fault::Store(_) => (503, "The database cannot be read now."),
        Fault::Query(_) => (
            400,
            "This address cannot be understood. Open the overview, and choose again from there.",
        ),
        Fault::Template(_) => (500, "The page failed."),
        Fault::NoImage => (404, "There is no such image."),
        Fault::Ends => (503, "The server is stopping."),
    };
    let mut text = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    if status == 503 {
        text.truncate(text.trim_end_matches('.').len());
        text.push_str(". This page tries again every five seconds.");
    }
    let main = Problem { title, text: visible(&text).into_owned() }.render().unwrap_or_default();
    (status, Shown { title: title.to_owned(), main, ..Shown::default() })
}
