//! What all stages that talk to the service share: the client, the pace of requests, and how long a run goes on without an answer.

mod ask;
pub(super) mod client;
pub(super) mod delays;
pub(super) mod outage;
pub(super) mod pace;
mod patience;
mod repair;
mod turn;
