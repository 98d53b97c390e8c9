// SPDX-License-Identifier: GPL-2.0

//! Shows the progress of a test on standard error: a bar on a terminal, elsewhere a line every few seconds.

use std::{
    io::{
        self,
        IsTerminal,
        Write, //
    },
    time::{
        Duration,
        Instant, //
    },
};

use indicatif::{
    ProgressBar,
    ProgressStyle, //
};

use crate::{
    figures::{
        seconds,
        short, //
    },
    stress_status::Run,
};

/// Time between two lines.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Form of the progress.
pub(crate) enum Progress {
    /// Bar on a terminal.
    Bar(ProgressBar),
    /// Lines, with the time of the last one.
    Lines(Option<Instant>),
}

impl Progress {
    pub(crate) fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Progress::Lines(None);
        }
        let bar = ProgressBar::new(100);
        // If the template were wrong, the bar would have indicatif's own style.
        let style = ProgressStyle::with_template("{bar:32} {pos:>3} %  {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        Progress::Bar(bar.with_style(style.progress_chars("━╸─")))
    }

    /// Shows the current progress.
    pub(crate) fn show(&mut self, run: &Run) {
        match self {
            Progress::Bar(bar) => {
                bar.set_message(figures(run));
                bar.set_position(run.progress);
            }
            Progress::Lines(last) => {
                let now = Instant::now();
                if is_due(*last, now) {
                    *last = Some(now);
                    line(&format!("{:>3} %  {}", run.progress, figures(run)));
                }
            }
        }
    }

    /// Prints a message.
    pub(crate) fn say(&self, text: &str) {
        match self {
            Progress::Bar(bar) => bar.suspend(|| line(text)),
            Progress::Lines(_) => line(text),
        }
    }
}

/// Writes a line on standard error. The test goes on if that fails.
fn line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Removes the bar, also on errors.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Returns whether it is time for another line.
fn is_due(last: Option<Instant>, now: Instant) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= BETWEEN_LINES)
}

/// Returns the figures of a run in a line.
fn figures(run: &Run) -> String {
    let mut time = seconds(run.elapsed_ms);
    // A test that ends by volume has no duration of its own.
    if run.duration_ms != run.elapsed_ms {
        time = format!("{time} of {}", seconds(run.duration_ms));
    }
    format!(
        "{time}, {} IOPS, {} MB/s, {} in flight, {} errors",
        short(run.iops as f64),
        run.megabytes_per_second,
        run.in_flight,
        run.errors
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_now_and_then() {
        let start = Instant::now();
        assert!(is_due(None, start));
        assert!(!is_due(Some(start), start + BETWEEN_LINES / 2));
        assert!(is_due(Some(start), start + BETWEEN_LINES));
    }
}
