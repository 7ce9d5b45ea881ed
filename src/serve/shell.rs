//! What surrounds a view: head, navigation and foot.

use askama::Template;

/// The style and the script of every page.
pub(super) const STYLE: &str = include_str!("../view/templates/style.css");
pub(super) const SCRIPT: &str = include_str!("../view/templates/page.js");

/// The icon of every page.
pub(super) const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#0a6a4d" d="M1 3h5v4H1zm0 6h5v4H1zm7-6h7v4H8zm0 6h7v4H8z"/></svg>"##;

/// A page.
#[derive(Debug, Template)]
#[template(path = "page.html")]
pub(super) struct Shell<'a> {
    /// The title of the window.
    pub(super) title: String,
    /// The view that is shown.
    pub(super) current: &'a str,
    /// What the images belong to.
    pub(super) source: String,
    /// The run that goes on, in words; empty if none does.
    pub(super) running: String,
    /// The view.
    pub(super) main: String,
    /// Why there are no pictures; empty if there are some, or if the view has none.
    pub(super) no_pictures: &'a str,
    /// The name of the database.
    pub(super) database: String,
    /// When the page was made.
    pub(super) made: String,
    /// True if the page should be read anew in a while.
    pub(super) again: bool,
}

/// A page that says what is wrong.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub(super) struct Problem<'a> {
    /// What is wrong.
    pub(super) title: &'a str,
    /// The cause, and what to do.
    pub(super) text: String,
}
