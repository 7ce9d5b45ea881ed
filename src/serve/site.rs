//! What a server shows: the database, the terms of its pages, and the pictures, which the caller names.

use std::path::PathBuf;

use futures::future::BoxFuture;

use super::kept::Kept;
use crate::pictures::Folder;
use crate::store::read::Sample;
use crate::view::{Picture, Terms};

/// Makes a link to a picture of an image, which is at most as wide as a number of pixels. Returns why there is none.
pub type Signer =
    Box<dyn Fn(Sample, u32) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Where pictures come from.
pub enum Pictures {
    /// There are none, and this sentence says why.
    None(String),
    /// From another host, with signed links.
    Links {
        /// The name of the bucket to whose objects the links lead.
        bucket: String,
        /// Scheme and host of every link.
        origin: String,
        /// Makes the links.
        sign: Signer,
    },
    /// From a folder: keys are paths in it.
    Folder(Folder),
}

/// A database and how it is shown.
pub struct Site {
    /// The file of the database.
    pub database: PathBuf,
    /// The terms of a page that is made now.
    pub terms: Box<dyn Fn() -> Terms + Send + Sync>,
    /// Where pictures come from.
    pub pictures: Pictures,
    /// The last readings of the whole database.
    pub kept: Kept,
}

impl Site {
    /// A site without pictures and without readings.
    pub fn new(
        database: PathBuf,
        terms: Box<dyn Fn() -> Terms + Send + Sync>,
        pictures: Pictures,
    ) -> Self {
        Self { database, terms, pictures, kept: Kept::default() }
    }

    /// Whether there are pictures.
    pub(super) fn has_pictures(&self) -> bool {
        !matches!(self.pictures, Pictures::None(_))
    }

    /// Whether a key of a bucket has a picture. No link to a bucket can show a URL.
    pub(super) fn shows(&self, bucket: &str, key: &str) -> bool {
        let is_url = key.starts_with("http://") || key.starts_with("https://");
        match &self.pictures {
            Pictures::None(_) => false,
            Pictures::Links { bucket: shown, .. } => shown == bucket && !is_url,
            Pictures::Folder(_) => !is_url,
        }
    }

    /// A picture with this address. The service counts the requests to which a link leads.
    pub(super) fn picture(&self, src: String) -> Picture {
        Picture::Address { src, costs: matches!(self.pictures, Pictures::Links { .. }) }
    }

    /// Why there are no pictures; empty if there are some.
    pub(super) fn no_pictures(&self) -> &str {
        match &self.pictures {
            Pictures::None(why) => why,
            Pictures::Links { .. } | Pictures::Folder(_) => "",
        }
    }
}
