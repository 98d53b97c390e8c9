// SPDX-License-Identifier: GPL-2.0

//! Failures of the tools, and their exit statuses.

use std::{
    fmt,
    io::{
        self,
        Write, //
    },
    path::Path,
    process::ExitCode, //
};

use remap_core::metadata::store::LoadError;

/// Exit status: all copies are good, or the tool has done its work.
pub const GOOD: u8 = 0;
/// Exit status: some copies are bad, but nothing is missing.
pub const DEGRADED: u8 = 1;
/// Exit status: the metadata cannot be used.
pub const UNUSABLE: u8 = 2;
/// Exit status: the area could not be read, or the work could not be done.
pub const UNDONE: u8 = 3;

/// Returns the exit status of a tool. Prints a failure and its hint, after the name of the tool.
pub fn end(name: &str, result: Result<u8, Failure>) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            complain(&format!("{name}: {failure}"));
            if let Failure::Unusable {
                hint: Some(hint), ..
            } = &failure
            {
                complain(&format!("  {hint}"));
            }
            failure.exit_code()
        }
    }
}

/// Prints a line on standard error. If that fails, there is no other place to report it.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Turns an error of writing the output into a failure. A closed output is no failure: its reader needed
/// no more.
pub fn printed(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Undone(format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints lines on standard output.
pub fn print(lines: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Reason why a tool has not done its work.
#[derive(Debug)]
pub enum Failure {
    /// The metadata cannot be used.
    Unusable {
        /// Fault of the metadata.
        why: LoadError,
        /// Options that may help.
        hint: Option<String>,
    },
    /// The area could not be read, or the work could not be done: a message for the user.
    Undone(String),
}

impl Failure {
    /// Failure of a system call on a file; `what` is a verb.
    pub fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        Failure::Undone(format!("cannot {what} {}: {error}", path.display()))
    }

    /// Returns the exit status of a tool that ends with this failure.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Unusable { .. } => UNUSABLE,
            Failure::Undone(_) => UNDONE,
        })
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Failure::Unusable {
            why: error,
            hint: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unusable { why, .. } => why.fmt(f),
            Failure::Undone(why) => f.write_str(why),
        }
    }
}
