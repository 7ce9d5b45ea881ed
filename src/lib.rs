//! costag tags every image of a Tencent COS bucket.

pub mod cli;
pub mod config;
pub mod cos;
pub mod emulator;
pub mod export;
pub mod job;
pub mod scene;
pub mod store;
pub mod telemetry;
