// SPDX-License-Identifier: GPL-2.0

//! What the log says, against what it may say.

use machine::{fail, scheduler::world};

use crate::{
    errno::{ENOMEM, ENXIO},
    unit::Unit,
};

/// Errors of messages, and the words for them.
const REASONS: [(i32, &[&str]); 8] = [
    (-4, &["interrupted by a signal"]),
    (
        -5,
        &[
            "the devices refused, or sectors are lost",
            "metadata cannot be written",
        ],
    ),
    (
        -11,
        &["the device is suspended", "the table was never resumed"],
    ),
    (-19, &["main_dev is gone"]),
    (-28, &["no spare block left"]),
    (-30, &["the table is loaded read-only"]),
    (-67, &["a device does not answer"]),
    (-110, &["bios in flight do not end"]),
];

/// Fails where a message ends with an error, and no line of the log says why. Want of memory need not be told,
/// and device-mapper tells itself where there is no table (`ENXIO`).
pub(crate) fn check_reason(message: &str, error: i32, lines: &[String]) {
    if matches!(error, ENOMEM | ENXIO) {
        return;
    }
    let known = REASONS.iter().find(|(number, _)| *number == error);
    let right = match known {
        Some((_, words)) => lines
            .iter()
            .any(|line| words.iter().any(|words| line.contains(words))),
        None => !lines.is_empty(),
    };
    if !right {
        fail!("'{message}' ends with {error}, and the log says {lines:?}");
    }
}

impl Unit {
    /// Fails where the log has said of the table what is no news, or of one that has `ended` its work not why
    /// it failed. Judges what came since the last call.
    pub(crate) fn check_log(&self, ended: bool) {
        let of_device = format!("253:{}: ", self.number);
        let lines = &world().log;
        let from = self.judge.log.replace(lines.len());
        let (fails, why) = (&self.judge.fails, &self.judge.says_why);
        for line in lines[from..]
            .iter()
            .filter_map(|(_, line)| line.strip_prefix(&of_device))
        {
            if line == "metadata is ok" {
                fail!("the log says that metadata is ok, which is no news");
            }
            fails.set(fails.get() || line == "health is failing");
            why.set(why.get() || line.starts_with("main_dev fails wholesale"));
        }
        // Of a table in use, the line that says why may be still to come.
        if ended && fails.get() && !why.get() {
            fail!("health was failing, and the log has not said why");
        }
    }
}
