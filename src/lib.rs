//! costag tags every image of a Tencent COS bucket.

pub mod cos;
pub mod job;
pub mod config;
pub mod export;
pub mod scene;
pub mod store;
