//! What a run repairs by itself and goes on: the clock.

use std::convert::Infallible;

use super::client::Service;
use crate::job::writer::{Record, Writer};

/// Stores each correction of the clock, so that the next run begins with it.
pub(crate) async fn store_clock_corrections(service: &Service, writer: Writer) -> Infallible {
    loop {
        service.clock_corrected.notified().await;
        let seconds = service.client.clock().offset();
        if writer.send(Record::ClockOffset { seconds }).await.is_err() {
            return std::future::pending().await;
        }
    }
}
