// SPDX-License-Identifier: GPL-2.0

//! Times at which a device that does not answer is asked again.

/// Shortest and longest pause between two probes, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// Shortest pause, which is the first.
    pub min_ms: u64,
    /// Longest pause, if it is longer than the shortest.
    pub max_ms: u64,
}

/// Schedule of the probes of one device: pauses that double, from the shortest to the longest.
///
/// Times are in milliseconds, from any moment on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Time of the next probe, and the pause behind it. `None` while the device answers.
    next: Option<(u64, u64)>,
}

impl Probe {
    /// Makes the schedule of a device that answers.
    pub const fn new() -> Self {
        Self { next: None }
    }

    /// Begins to probe a device that does not answer at the time `now`, unless it is probed already.
    pub fn begin(&mut self, now: u64, pauses: Pauses) {
        if self.next.is_none() {
            self.next = Some((now.saturating_add(pauses.min_ms), pauses.min_ms));
        }
    }

    /// Brings the next probe forward, if it is later than the longest pause from the time `now` on.
    pub fn hurry(&mut self, now: u64, pauses: Pauses) {
        let longest = pauses.max_ms.max(pauses.min_ms);
        if let Some((next, pause)) = self.next {
            let latest = now.saturating_add(longest);
            self.next = Some((next.min(latest), pause.min(longest)));
        }
    }

    /// Ends probing: the device answers.
    pub fn end(&mut self) {
        self.next = None;
    }

    /// Returns whether a probe is due at the time `now`.
    pub fn is_due(&self, now: u64) -> bool {
        self.next.is_some_and(|(next, _)| next <= now)
    }

    /// Records that the device did not answer a probe at the time `now`. The next pause is longer.
    pub fn fail(&mut self, now: u64, pauses: Pauses) {
        if let Some((_, pause)) = self.next {
            let longest = pauses.max_ms.max(pauses.min_ms);
            let pause = pause.saturating_mul(2).clamp(pauses.min_ms, longest);
            self.next = Some((now.saturating_add(pause), pause));
        }
    }

    /// Returns the time from `now` until the next probe. `None` while the device answers.
    pub fn wait(&self, now: u64) -> Option<u64> {
        self.next.map(|(next, _)| next.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const PAUSES: Pauses = Pauses {
        min_ms: 1_000,
        max_ms: 30_000,
    };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut probe = Probe::new();
        assert_eq!(probe.wait(7), None);
        assert!(!probe.is_due(u64::MAX));
        probe.begin(500, PAUSES);
        let mut now = 500;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let wait = probe.wait(now).unwrap();
            assert!(!probe.is_due(now + wait - 1));
            now += wait;
            assert!(probe.is_due(now));
            pauses.push(wait / 1_000);
            probe.fail(now, PAUSES);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        probe.end();
        assert_eq!(probe.wait(now), None);
    }

    #[test]
    fn pauses_may_change_at_any_time() {
        let mut probe = Probe::new();
        probe.begin(0, PAUSES);
        let short = Pauses {
            min_ms: 10,
            max_ms: 5,
        };
        probe.fail(1_000, short);
        assert_eq!(
            probe.wait(1_000),
            Some(10),
            "the longest is no shorter than the shortest"
        );
        probe.fail(1_010, PAUSES);
        assert_eq!(probe.wait(1_010), Some(1_000));
        probe.hurry(1_020, PAUSES);
        assert_eq!(probe.wait(1_020), Some(990), "not later");
        probe.hurry(1_020, short);
        assert_eq!(probe.wait(1_020), Some(10));
    }

    #[test]
    fn a_second_beginning_changes_nothing() {
        let mut probe = Probe::new();
        probe.begin(0, PAUSES);
        probe.fail(1_000, PAUSES);
        let before = probe;
        probe.begin(2_000, PAUSES);
        assert_eq!(probe, before);
    }

    #[test]
    fn a_device_that_answers_is_not_probed() {
        let mut probe = Probe::new();
        probe.fail(5, PAUSES);
        assert_eq!(probe, Probe::new());
        probe.begin(u64::MAX, PAUSES);
        probe.fail(u64::MAX, PAUSES);
        assert!(probe.is_due(u64::MAX));
    }
}
