//! The page in a real browser, as a person uses it.

use costag::emulator::{Settings, Synthetic};

use super::Served;
use crate::support::{BUCKET, Browser, REBOUND, Site, wait_until};

/// A key and a label that would run scripts.
const HOSTILE: &str = r#"hostile/"><img src=x onerror="window.hostile=1">.jpg"#;
const HOSTILE_LABEL: &str = "<script>window.hostile=2</script>";

/// More images than a page of Explore shows.
const OBJECTS: u64 = 130;

/// Tabs that are pressed at most to reach something.
const TABS: usize = 120;

/// The Tab and Enter keys, as `WebDriver` writes them.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

fn labelled() -> Site {
    let site =
        Site::new(Synthetic { objects: OBJECTS, ..Synthetic::default() }, Settings::default());
    site.put(&[(HOSTILE, "hostile")]);
    site.run(&[]).with(0);
    site.tamper(&format!(
        "UPDATE tag SET name = '{HOSTILE_LABEL}', first_category = '{HOSTILE_LABEL}'
         WHERE id = (SELECT tag_id FROM label JOIN object USING (content_id) WHERE key = '{HOSTILE}' LIMIT 1)"
    ));
    site
}

impl Served {
    fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Browser {
    /// Opens the address that the server has printed.
    #[track_caller]
    fn enter(&self, served: &Served) {
        self.open(&served.address(&format!("/?{}", served.token)));
        self.until("location.pathname === '/' && location.search === ''");
    }

    /// Clicks on a link, and waits until it has led somewhere.
    #[track_caller]
    fn follow(&self, selector: &str) {
        let before = self.text("location.href");
        self.click(selector);
        self.until(&format!("location.href !== {before:?} && document.readyState === 'complete'"));
    }

    /// Moves the focus forward until it is on what the selector chooses. Everything on the way must show its focus.
    #[track_caller]
    fn tab_to(&self, selector: &str) {
        for _ in 0..TABS {
            self.press(TAB);
            // Before the first element and after the last one, nothing has the focus.
            if self.value("document.activeElement === document.body") == true {
                continue;
            }
            // Fields have a line below instead of an outline.
            let shows = "[getComputedStyle(document.activeElement)].every((style) => style.outlineStyle !== 'none' || style.boxShadow !== 'none')";
            let here = self.text("document.activeElement.outerHTML.slice(0, 200)");
            assert_eq!(self.value(shows), true, "no focus is seen on {here}");
            if self.value(&format!("document.activeElement.matches({selector:?})")) == true {
                return;
            }
        }
        panic!("the keyboard does not reach {selector}");
    }
}

#[test]
fn a_person_finds_images_in_a_browser() {
    let Some(browser) = Browser::start() else { return };
    let site = labelled();
    let served = site.serve(&["--pictures"]);
    views_with_pictures(&browser, &served);
    filters_and_pages(&browser, &served);
    hostile_names(&browser, &site, &served);
    narrow_windows(&browser, &site, &served);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    the_keyboard_alone(&browser, &served);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    refusals(&browser, &served);
}

/// The token leaves the address, and pictures of the bucket are shown, few before the person scrolls.
fn views_with_pictures(browser: &Browser, served: &Served) {
    browser.enter(served);
    assert_eq!(
        browser.text("document.querySelector('h1').textContent"),
        "131 images, 100 % labelled."
    );
    browser.until("document.querySelector('.sheet img').naturalWidth === 240");
    let asked = "performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/thumb/')).length";
    let shown = "document.querySelectorAll('.sheet img[src]').length";
    assert!(browser.value(asked).as_u64().unwrap() <= 60, "{}", browser.value(asked));
    let before = browser.value(shown).as_u64().unwrap();
    assert!((1..=60).contains(&before), "{before}");
    browser.value("document.querySelector('.sheet img[data-src]').scrollIntoView()");
    browser.until(&format!("{shown} > {before}"));
    for (view, title) in [("labels", "Labels"), ("runs", "Runs"), ("explore", "131 images")] {
        browser.follow(&format!("nav a[href='/{view}']"));
        browser.until(&format!("document.title.startsWith({title:?})"));
        let current = "document.querySelector('nav [aria-current]').getAttribute('href')";
        assert_eq!(browser.text(current), format!("/{view}"));
    }
}

/// A choice leads to as many images as it says, a chip takes it back, and every image is on one page.
fn filters_and_pages(browser: &Browser, served: &Served) {
    browser.open(&served.address("/explore"));
    let choice = ".facet a[href*='all=']";
    let count =
        format!("document.querySelector({choice:?}).closest('li').querySelector('.n').textContent");
    let count = browser.text(&count);
    browser.follow(choice);
    let title = browser.text("document.querySelector('h1').textContent");
    assert!(title.starts_with(&format!("{count} image")), "{title}, not {count}");
    browser.follow(".chips a.x");
    assert_eq!(browser.value("document.querySelectorAll('.chips').length"), 0);
    let tiles = "[...document.querySelectorAll('.grid a')].map((tile) => tile.pathname)";
    let mut seen = std::collections::BTreeSet::new();
    loop {
        for tile in browser.value(tiles).as_array().unwrap() {
            assert!(seen.insert(tile.as_str().unwrap().to_owned()), "{tile} is shown twice");
        }
        if browser.value("document.querySelector('[rel=next]')").is_null() {
            break;
        }
        browser.follow("[rel=next]");
    }
    assert_eq!(seen.len() as u64, OBJECTS + 1);
    // One image, and back to the page where it was found.
    let before = browser.text("location.href");
    browser.follow(".grid a");
    browser.until("document.querySelector('figure img').naturalWidth === 240");
    browser.follow(".crumbs a");
    assert_eq!(browser.text("location.href").split('?').next(), before.split('?').next());
}

fn hostile_names(browser: &Browser, site: &Site, served: &Served) {
    let id: i64 = site.one(&format!("SELECT content_id FROM object WHERE key = '{HOSTILE}'"));
    for path in ["/explore?prefix=hostile%2F", "/labels", "/", &format!("/image/{id}")] {
        browser.open(&served.address(path));
        let text = browser.text("document.body.innerText");
        let is_there = text.contains("window.hostile");
        assert!(is_there, "{path} does not show the hostile name: {text}");
        assert_eq!(browser.text("typeof window.hostile"), "undefined", "{path}");
        assert_eq!(browser.value("document.querySelectorAll('img[src=x], main script').length"), 0);
    }
}

fn narrow_windows(browser: &Browser, site: &Site, served: &Served) {
    let id: i64 = site.one(&format!("SELECT content_id FROM object WHERE key = '{HOSTILE}'"));
    browser.width(390);
    for path in
        ["/", "/explore", "/explore?prefix=hostile%2F", "/labels", "/runs", &format!("/image/{id}")]
    {
        browser.open(&served.address(path));
        assert_eq!(browser.value("innerWidth"), 390);
        let width = browser.value("document.documentElement.scrollWidth").as_u64().unwrap();
        let wide = "[...document.body.querySelectorAll('*')].filter((it) => it.getBoundingClientRect().right > 391).slice(0, 5).map((it) => it.outerHTML.slice(0, 120)).join('\\n')";
        assert!(width <= 390, "{path} is {width} pixels wide:\n{}", browser.text(wide));
    }
    browser.width(1_280);
}

/// From the beginning of a page to the images of a label, and to one of them.
fn the_keyboard_alone(browser: &Browser, served: &Served) {
    browser.open(&served.address("/"));
    browser.tab_to(".skip");
    browser.press(ENTER);
    browser.until("location.hash === '#main'");
    browser.open(&served.address("/"));
    browser.tab_to("nav a[href='/explore']");
    browser.press(ENTER);
    browser.until("location.pathname === '/explore' && document.readyState === 'complete'");
    let name = browser.text("document.querySelector(\".facet a[href*='all=']\").textContent");
    browser.tab_to("#find-label");
    browser.press(&name);
    browser.press(ENTER);
    browser.until("location.search.includes('find=') && document.readyState === 'complete'");
    browser.tab_to(".facet a[href*='all=']");
    browser.press(ENTER);
    browser.until("location.search.includes('all=') && document.readyState === 'complete'");
    assert!(browser.text("document.querySelector('.chips').textContent").contains(&name));
    browser.tab_to(".grid a");
    browser.press(ENTER);
    browser.until("location.pathname.startsWith('/image/')");
}

/// A name of the Internet that leads to this machine, and a browser without the cookie.
fn refusals(browser: &Browser, served: &Served) {
    browser.open(&format!("http://{REBOUND}:{}/?{}", served.port, served.token));
    browser.until("document.body.innerText.includes('This server answers only to localhost')");
    browser.open(&format!("http://localhost:{}/explore", served.port));
    browser.until("document.body.innerText.includes('Open the address that costag printed')");
    assert!(!browser.text("document.body.innerText").contains("images"));
}

#[test]
fn a_browser_follows_the_run_that_goes_on_while_its_page_is_seen() {
    let Some(browser) = Browser::start() else { return };
    let site = Site::plain(100_000);
    let run = site.start(&["run", BUCKET, "--qps", "20", "--yes"]);
    wait_until("the run calls", || site.calls() > 0);
    let served = site.serve(&[]);
    browser.enter(&served);
    browser.open(&served.address("/runs"));
    // The page is still the same when its figures have changed.
    browser.value("window.same = true");
    let figures = "document.querySelector('[data-live] dl').textContent";
    let changes = |browser: &Browser| {
        let before = browser.text(figures);
        browser.until(&format!("{figures} !== {before:?}"));
    };
    changes(&browser);
    // A page that is not seen lets go of its connection, and takes another one once it is seen.
    browser.value("window.released = 0, EventSource.prototype.close = new Proxy(EventSource.prototype.close, { apply(close, events) { window.released += 1; return close.apply(events); } })");
    let hide = |hidden: bool| {
        browser.value(&format!("Object.defineProperty(document, 'hidden', {{ configurable: true, value: {hidden} }}), document.dispatchEvent(new Event('visibilitychange'))"));
    };
    hide(true);
    assert_eq!(browser.value("window.released"), 1);
    hide(false);
    changes(&browser);
    assert_eq!(browser.value("window.same"), true);
    run.signal("INT");
    run.end_untried().with(130);
    // Without the run the page is another one.
    browser.until("!window.same && document.readyState === 'complete'");
    let page = browser.text("document.body.innerText");
    assert!(page.contains("Run 1 was interrupted"), "{page}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
