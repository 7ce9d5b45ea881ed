//! What all stages that talk to the service share: the client, the pace of requests, and how long trouble is borne.

mod ask;
pub(super) mod client;
pub(super) mod delays;
pub(super) mod outage;
pub(super) mod pace;
mod patience;
mod repair;
mod turn;
