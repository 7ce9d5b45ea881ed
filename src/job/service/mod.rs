//! What all stages that talk to the service share: the client, the pace of requests, and how long trouble is borne.

pub(super) mod client;
pub(super) mod outage;
pub(super) mod pace;
mod patience;
pub(super) mod repair;
mod turn;
