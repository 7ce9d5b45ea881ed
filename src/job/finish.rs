//! Runs a job. When its stages have ended, decides in which state the run is stored, and reports how it ended.

use std::sync::Arc;

use tracing::info;

use super::begun::{Job, Purpose};
use super::discovery::unmatched::Unmatched;
use super::report::{End, ListReport, Report};
use super::{Control, Error, Limit, Stats, StopReason, Trial, stages};
use crate::cos::Clock;
use crate::store::Session;
use crate::store::model::{Counts, RunState};
use crate::store::read::Needed;
use crate::store::turn::Request;

impl Job {
    /// Runs to the end, or until it is stopped. Every outcome is on disk when it returns. `exit_code` gives the exit
    /// code of a result, which is stored with the run.
    ///
    /// # Errors
    /// An error that does not come from the service; an error of the store takes precedence.
    pub async fn run(
        self,
        exit_code: impl FnOnce(Result<&Report, &Error>) -> u8,
    ) -> Result<Report, Error> {
        let finish = Finish::of(&self);
        info!(run = finish.run_id, source = %self.source.describe(&self.begun.session.run().bucket),
            scenes = %self.scenes(), resumed = finish.is_resumed, "the run begins");
        // On the heap, because the future of all stages is large.
        let (session, result) = Box::pin(stages::run(self)).await?;
        let report = finish.finish(session, result, exit_code)?;
        info!(run = report.run_id, end = ?report.end, "the run has ended");
        Ok(report)
    }
}

/// What is remembered of a job while its stages run, to finish it afterwards.
struct Finish {
    run_id: i64,
    purpose: Purpose,
    is_list: bool,
    is_resumed: bool,
    trial: Option<Trial>,
    fails_if_missing: bool,
    /// The option that names a list which this invocation did not read to its end.
    unread: Option<String>,
    /// Unfinished runs over other lists when this one began.
    other_lists: Vec<i64>,
    before: Counts,
    /// The exit codes that count as a success.
    successes: Vec<u8>,
    limits: Vec<Limit>,
    unmatched: Arc<Unmatched>,
    stats: Arc<Stats>,
    control: Control,
    clock: Arc<Clock>,
    /// The clock's offset at the beginning, in seconds.
    offset: i64,
}

impl Finish {
    fn of(job: &Job) -> Self {
        let begun = &job.begun;
        let clock = Arc::clone(job.client.clock());
        Self {
            run_id: job.run_id(),
            purpose: job.purpose,
            is_list: !job.source.is_bucket(),
            is_resumed: begun.is_resumed,
            trial: begun.trial,
            fails_if_missing: job.purpose == Purpose::Tag && !job.settings.budget.allow_missing,
            unread: begun.unread.clone(),
            other_lists: begun.other_lists.iter().map(|other| other.run_id).collect(),
            before: begun.session.counts().clone(),
            successes: job.settings.watching.successes.clone(),
            limits: match job.purpose {
                Purpose::Plan => job.budget.limits(),
                Purpose::Tag => Vec::new(),
            },
            unmatched: Arc::clone(&job.unmatched),
            stats: job.stats(),
            control: job.control(),
            offset: clock.offset(),
            clock,
        }
    }

    /// Stores how the run ended, and reports it. `result` is what the stages ended with.
    ///
    /// # Errors
    /// The error in `result`, or one of the store.
    fn finish(
        self,
        mut session: Session,
        result: Result<(), Error>,
        exit_code: impl FnOnce(Result<&Report, &Error>) -> u8,
    ) -> Result<Report, Error> {
        let Self { purpose, clock, .. } = &self;
        if clock.offset() != self.offset {
            let mut turn = session.new_turn();
            turn.requests.push(Request::ClockOffset { seconds: clock.offset() });
            session.turn(&turn)?.in_place()?;
        }
        // Another program that puts an image back does so before the search for remaining work, or after the end.
        session.begin_end()?;
        if result.is_ok() {
            self.look_for_rest(&session)?;
        }
        // The reason is read once. A signal may still arrive, but the run has ended by then, and what is stored, reported
        // and returned must agree.
        let stopped = self.control.reason().cloned();
        let needed = match (purpose, &result, &stopped) {
            (Purpose::Plan, Ok(()), None) => Some(session.needed()?),
            _ => None,
        };
        let (state, reason) = self.stored_end(&result, stopped.as_ref());
        if state == RunState::Complete && self.is_list {
            session.count_given_up_lines()?;
        }
        self.stats.committed(session.counts());
        let unfinished = session.unfinished_of(&self.other_lists)?;
        let now = clock.now();
        let result = result.map(|()| self.report(stopped, needed, unfinished));
        let code = exit_code(result.as_ref());
        session.set_exit_code(code, self.successes.contains(&code));
        session.finish(state, reason.as_deref(), now)?;
        result
    }

    /// The report of a run whose stages ended without an error.
    fn report(
        &self,
        stopped: Option<StopReason>,
        needed: Option<Needed>,
        unfinished: Vec<i64>,
    ) -> Report {
        let end = match stopped {
            None => End::Complete,
            Some(StopReason::Trial(trial)) => End::Trial(trial),
            Some(reason) => End::Stopped(reason),
        };
        let snapshot = self.stats.snapshot();
        // Before the end of the listing, a key that matches may still come.
        let unmatched = if snapshot.listed { self.unmatched.options() } else { Vec::new() };
        Report {
            run_id: self.run_id,
            end,
            snapshot,
            before: self.before.clone(),
            resumed: self.is_resumed,
            needed,
            list: self
                .is_list
                .then_some(ListReport { unfinished, fails_if_missing: self.fails_if_missing }),
            limits: self.limits.clone(),
            unmatched,
            beside: self.unmatched.beside().to_vec(),
        }
    }

    /// Gives a run that nothing stopped a reason if it leaves work behind: then it is not complete.
    fn look_for_rest(&self, session: &Session) -> Result<(), Error> {
        let Self { control, trial, .. } = self;
        if control.reason().is_none() && self.purpose == Purpose::Tag && session.leaves_behind()? {
            // Images beyond the number of a trial do not belong to it.
            let is_settled = |trial: &Trial| trial.settled(session.counts()) >= trial.images();
            control.stop(trial.filter(is_settled).map_or(StopReason::Remains, StopReason::Trial));
        }
        if let (Some(list), None) = (&self.unread, control.reason()) {
            control.stop(StopReason::Unread(list.clone()));
        }
        Ok(())
    }

    /// The state in which the run is stored, and why it ended.
    fn stored_end(
        &self,
        result: &Result<(), Error>,
        stopped: Option<&StopReason>,
    ) -> (RunState, Option<String>) {
        match (result, stopped) {
            // A list with unusable lines has to be corrected and given again, so there is nothing to resume.
            (Err(Error::List(error)), _) if error.is_refusal() && !self.is_resumed => {
                (RunState::Superseded, Some(error.to_string()))
            }
            (Err(error), _) => (RunState::Stopped, Some(error.to_string())),
            (Ok(()), Some(reason @ StopReason::Signal(_))) => {
                (RunState::Interrupted, Some(reason.to_string()))
            }
            (Ok(()), Some(StopReason::Trial(trial))) => (RunState::Complete, Some(trial.name())),
            (Ok(()), Some(reason)) => (RunState::Stopped, Some(reason.to_string())),
            (Ok(()), None) => (RunState::Complete, None),
        }
    }
}
