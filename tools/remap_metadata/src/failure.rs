// SPDX-License-Identifier: GPL-2.0

//! Why a tool could not do what it was asked to, and the exit status for it.

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

/// Exit status: everything is as it should be.
pub const GOOD: u8 = 0;
/// Exit status: some copies are bad, but everything is there.
pub const DEGRADED: u8 = 1;
/// Exit status: the metadata cannot be used.
pub const UNUSABLE: u8 = 2;
/// Exit status: it could not be looked at.
pub const UNDONE: u8 = 3;

/// What a tool's end is: its exit status, or what to say behind its name.
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

/// A line on standard error. Where that is closed or full, nobody can be told.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What was to be printed was, or not. Whoever has closed the output has had enough of it, and that
/// is no failure.
pub fn printed(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Undone(format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints lines.
pub fn print(lines: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Why nothing came of it.
#[derive(Debug)]
pub enum Failure {
    /// The metadata cannot be used.
    Unusable {
        /// What is wrong with it.
        why: LoadError,
        /// What could be done.
        hint: Option<String>,
    },
    /// It could not be looked at.
    Undone(String),
}

impl Failure {
    /// What the system said of a file.
    pub fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        Failure::Undone(format!("cannot {what} {}: {error}", path.display()))
    }

    /// The exit status.
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
