// SPDX-License-Identifier: GPL-2.0

//! Failures of commands, and their exit statuses.

use std::{
    fmt,
    io,
    path::Path, //
};

/// Reason why a command has not done its work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Values of the command line that do not go together.
    Usage(String),
    /// Work that could not be done: a message for the user.
    Undone(String),
    /// No test has run yet.
    Nothing(String),
    /// The reader of the output has closed it.
    Closed,
}

impl Failure {
    /// Failure of a system call on a file; `verb` says what was tried.
    pub(crate) fn file(verb: &str, path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        Failure::Undone(format!("cannot {verb} {path}: {}", words(error)))
    }

    /// Failure of a write of `text` into a file of the stress manager.
    pub(crate) fn refused(file: &str, text: &str, error: &io::Error) -> Self {
        Failure::Undone(format!(
            "the kernel refused '{}' for {file}: {}\n  {}\n  \
             the kernel's log names the reason: dmesg | grep dm_remap | tail -n 1",
            text.trim_end(),
            words(error),
            meaning(error)
        ))
    }

    /// Returns the exit status of a command that ends with this failure.
    pub(crate) const fn exit_status(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Undone(_) => 3,
            Failure::Nothing(_) => 1,
            // Shells report a process that SIGPIPE has killed like this. Rust's start-up ignores SIGPIPE.
            Failure::Closed => 128 + libc::SIGPIPE as u8,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Undone(text) | Failure::Nothing(text) => {
                f.write_str(text)
            }
            Failure::Closed => f.write_str("the output was closed"),
        }
    }
}

/// Converts errors of writing the output. For all other errors use a function that names the subject.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Undone(format!("cannot write the output: {}", words(&error))),
        }
    }
}

/// Returns the text of an error without its number.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Returns the meaning of an errno of the stress manager's files (docs/interface.md).
fn meaning(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EBUSY) => {
            "a test runs already, or this test writes and the device is in use by somebody else \
             (mounted, or opened by a program or a loop device)"
        }
        Some(libc::ENODEV) => {
            "there is no such remap device; or there are none, or several and --device names none"
        }
        Some(libc::EINVAL) => "a value is out of range, or does not go with the others",
        Some(libc::ENOMEM) => "the machine has not enough memory for this test",
        Some(libc::EROFS) => "the device is read-only, and this test writes",
        Some(libc::EACCES | libc::EPERM) => "only root may do this",
        _ => "this comes from the device, or from below it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_was_refused_and_what_that_means() {
        let error = io::Error::from_raw_os_error(libc::EBUSY);
        let text = Failure::refused("quick_validation", "1\n", &error).to_string();
        for part in [
            "'1'",
            "quick_validation",
            "Device or resource busy\n",
            "a test runs already",
            "dmesg",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_closed_pipe_ends_as_by_a_signal() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(closed, Failure::Closed);
        assert_eq!(closed.exit_status(), 141);
        let full = Failure::from(io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(full.exit_status(), 3);
    }
}
