//! costag tags every image of a Tencent COS bucket.

pub mod scene;
pub mod store;
