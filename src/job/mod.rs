//! The pipeline: the only place where the service and the store meet.

pub mod verdict;
