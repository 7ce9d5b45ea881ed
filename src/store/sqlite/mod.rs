//! The store in one SQLite file.

mod anchor;
mod backup;
mod byte_lock;
mod compact;
mod connect;
mod count;
mod error;
mod growth;
mod ids;
mod lock;
mod migrate;
mod place;
mod posting;
pub(super) mod read;
mod reader;
mod rows;
mod schema;
mod sql;
mod still;
mod store;
pub(super) mod turn;

pub(super) use place::Place;
pub(super) use reader::Reader;
pub(super) use store::Store;
