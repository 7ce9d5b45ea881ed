//! costag tags every image of a Tencent COS bucket.

pub mod cos;
pub mod scene;
pub mod store;
