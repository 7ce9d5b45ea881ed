//! The job database: queue, checkpoint and result.
//!
//! [`Store`] is the one write handle, held under the lock and used by one thread. Any number of [`Reader`]s can be
//! open beside it, and none of them blocks it. Nothing outside this module writes SQL, and everything that knows
//! SQLite is in `store/sqlite`.

pub mod decide;
mod error;
pub mod ident;
pub mod keyspace;
pub mod model;
pub mod run;
mod sqlite;
pub mod turn;

pub use error::Error;
pub use sqlite::turn::Session;
pub use sqlite::{APPLICATION_ID, Place, Reader, Store, known_version, read};

/// The former name of [`turn`] and [`run`].
pub mod write {
    pub use super::run::*;
    pub use super::sqlite::turn::Session;
    pub use super::turn::*;
}
