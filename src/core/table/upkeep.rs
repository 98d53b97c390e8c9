// SPDX-License-Identifier: GPL-2.0

//! Times of the scrubs and retries that a table starts of its own accord.
//!
//! An interval is counted from the start of one run to that of the next. The first one is counted from the first
//! resume of the table, or from the change of the interval. What could not be done when it was due stays due.

use crate::table::settings::{
    Setting,
    Settings, //
};

/// Work that a table does of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A scrub.
    Scrub,
    /// A retry of all pending blocks.
    Retry,
}

impl Task {
    /// All tasks, in the order in which they are done.
    pub const ALL: [Self; 2] = [Self::Retry, Self::Scrub];

    /// Returns the setting that has the interval.
    pub const fn setting(self) -> Setting {
        match self {
            Self::Scrub => Setting::ScrubInterval,
            Self::Retry => Setting::RetryInterval,
        }
    }

    /// Returns the task whose interval a setting has.
    pub fn of(setting: Setting) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.setting() == setting)
    }

    /// Returns the interval in milliseconds, if there is one.
    fn interval(self, settings: &Settings) -> Option<u64> {
        let seconds = settings.get(self.setting());
        (seconds > 0).then(|| u64::from(seconds).saturating_mul(1000))
    }
}

/// Times of the last runs, in milliseconds of a clock that begins with the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    scrub: u64,
    retry: u64,
}

impl Upkeep {
    /// Records that a task was done at `now`, or that its interval counts from then on.
    pub fn record(&mut self, task: Task, now: u64) {
        match task {
            Task::Scrub => self.scrub = now,
            Task::Retry => self.retry = now,
        }
    }

    /// Returns how many milliseconds after `now` a task is due: 0 if it is due already, `None` if it never is.
    pub fn due_in(&self, task: Task, now: u64, settings: &Settings) -> Option<u64> {
        let last = match task {
            Task::Scrub => self.scrub,
            Task::Retry => self.retry,
        };
        let due = last.saturating_add(task.interval(settings)?);
        Some(due.saturating_sub(now))
    }

    /// Returns how many milliseconds after `now` any task is due; `None` if none ever is.
    pub fn next_in(&self, now: u64, settings: &Settings) -> Option<u64> {
        let due = |task| self.due_in(task, now, settings);
        Task::ALL.into_iter().filter_map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intervals(scrub: u32, retry: u32) -> Settings {
        let mut settings = Settings::default();
        settings.set(Setting::ScrubInterval, scrub);
        settings.set(Setting::RetryInterval, retry);
        settings
    }

    #[test]
    fn nothing_is_due_without_an_interval() {
        let upkeep = Upkeep::default();
        assert_eq!(upkeep.next_in(u64::MAX, &Settings::default()), None);
        assert_eq!(Task::of(Setting::Tries), None);
        for task in Task::ALL {
            assert_eq!(Task::of(task.setting()), Some(task));
        }
    }

    #[test]
    fn each_task_has_its_own_interval() {
        let mut upkeep = Upkeep::default();
        let settings = intervals(10, 4);
        assert_eq!(upkeep.next_in(0, &settings), Some(4_000));
        assert_eq!(upkeep.due_in(Task::Scrub, 0, &settings), Some(10_000));
        assert_eq!(upkeep.due_in(Task::Retry, 3_999, &settings), Some(1));
        assert_eq!(upkeep.due_in(Task::Retry, 4_000, &settings), Some(0));
        // Stays due until it is done, however late.
        assert_eq!(upkeep.next_in(9_000, &settings), Some(0));
        upkeep.record(Task::Retry, 9_000);
        assert_eq!(upkeep.next_in(9_000, &settings), Some(1_000));
        assert_eq!(upkeep.due_in(Task::Retry, 9_000, &settings), Some(4_000));
        upkeep.record(Task::Scrub, 10_000);
        assert_eq!(upkeep.next_in(10_000, &settings), Some(3_000));
        // Another interval counts from the last run, unless it is recorded anew.
        assert_eq!(upkeep.next_in(10_000, &intervals(0, 2)), Some(1_000));
        upkeep.record(Task::Retry, 10_000);
        assert_eq!(upkeep.next_in(10_000, &intervals(0, 2)), Some(2_000));
    }
}
