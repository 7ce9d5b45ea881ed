//! When a turn of the writer begins, and what it takes.

use std::sync::mpsc::Receiver;
use std::thread;

use tokio::sync::Semaphore;

use super::*;
use crate::scene::Scenes;
use crate::store::turn::Settled;

/// Longer than any test: a turn that waits for this time to pass never begins.
const FOREVER: Duration = Duration::from_hours(1);

fn channel(longest: Duration, claimed: usize) -> (Writer, Intake) {
    let (sender, receiver) = mpsc::channel(1000);
    let gathering = Arc::new(Gathering::default());
    gathering.claimed(claimed);
    let writer = Writer { sender, bell: Bell(Arc::clone(&gathering)) };
    (writer, Intake::new(receiver, gathering, longest))
}

fn settlement(content_id: i64) -> Record {
    let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let settlement = Settlement {
        content_id,
        scenes: Scenes::default(),
        again: Scenes::default(),
        call: None,
        settled: Settled::Released,
    };
    Record::Settle { settlement, slot }
}

/// Takes the records of turns on a thread of its own, as the writer does, until no more can arrive. Returns how many
/// each turn has.
fn turns(mut intake: Intake) -> Receiver<usize> {
    let (sender, turns) = std::sync::mpsc::channel();
    thread::spawn(move || {
        intake.gathering.is_writer();
        while intake.take() {
            let _ = sender.send(intake.batch.drain(..).len() + intake.discovery.drain(..).len());
        }
    });
    turns
}

/// Sends a settlement, and waits until the intake has taken it out of the channel and waits for others.
fn send_and_wait_until_taken(writer: &Writer, content_id: i64) {
    writer.blocking_send(settlement(content_id)).unwrap();
    while writer.sender.capacity() < writer.sender.max_capacity() {
        thread::yield_now();
    }
}

#[test]
fn a_settlement_waits_until_a_quarter_of_the_claimed_contents_are_settled() {
    let (writer, intake) = channel(FOREVER, 8);
    let turns = turns(intake);
    send_and_wait_until_taken(&writer, 1);
    writer.blocking_send(settlement(2)).unwrap();
    assert_eq!(turns.recv(), Ok(2));
}

#[test]
fn a_settlement_does_not_wait_if_no_other_content_is_claimed() {
    let (writer, intake) = channel(FOREVER, 1);
    writer.blocking_send(settlement(1)).unwrap();
    assert_eq!(turns(intake).recv(), Ok(1));
}

#[test]
fn the_one_worker_of_a_run_does_not_wait_for_its_own_next_call() {
    // One worker has two slots.
    let (writer, intake) = channel(FOREVER, 2);
    writer.blocking_send(settlement(1)).unwrap();
    assert_eq!(turns(intake).recv(), Ok(1));
}

#[test]
fn a_record_with_a_reply_takes_the_waiting_settlements_along_at_once() {
    let (writer, intake) = channel(FOREVER, 100);
    let turns = turns(intake);
    send_and_wait_until_taken(&writer, 1);
    let (reply, _pending) = oneshot::channel();
    writer.blocking_send(Record::HasPending { reply }).unwrap();
    assert_eq!(turns.recv(), Ok(2));

    // The next settlement waits again.
    send_and_wait_until_taken(&writer, 2);
    writer.blocking_send(Record::CompleteListing { now: UnixSeconds(0) }).unwrap();
    assert_eq!(turns.recv(), Ok(2));
}

#[test]
fn a_settlement_that_nothing_joins_is_taken_after_the_longest_time() {
    let (writer, intake) = channel(LONGEST, 100);
    writer.blocking_send(settlement(1)).unwrap();
    assert_eq!(turns(intake).recv(), Ok(1));
    assert!(LONGEST <= Duration::from_millis(20), "an answer waits no longer than documented");
}

#[test]
fn the_writer_notices_at_once_that_no_more_records_can_arrive() {
    let (writer, intake) = channel(FOREVER, 100);
    let turns = turns(intake);
    send_and_wait_until_taken(&writer, 1);
    drop(writer);
    assert_eq!(turns.recv(), Ok(1));
    assert!(turns.recv().is_err(), "the thread has ended");
}

#[test]
fn records_that_wait_for_a_page_to_be_stored_do_not_wait_longer() {
    let (writer, mut intake) = channel(FOREVER, 100);
    let (committed, _done) = oneshot::channel();
    writer.blocking_send(Record::TakeOver { run_ids: Vec::new(), committed }).unwrap();
    assert!(intake.take());
    assert_eq!(intake.discovery.len(), 1);
    // Discovery has records left, as after a turn that took only one of several pages.
    writer.blocking_send(settlement(1)).unwrap();
    assert!(intake.take());
    assert_eq!(intake.batch.len(), 1);
}
