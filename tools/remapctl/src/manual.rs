// SPDX-License-Identifier: GPL-2.0

//! The manual, and the completions of shells.

use std::{
    fs,
    io::Write,
    path::Path, //
};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    arguments::Arguments,
    failure::Failure,
    Answer, //
};

/// `remapctl completions`.
pub(crate) fn completions(shell: Shell, out: &mut dyn Write) -> Result<Answer, Failure> {
    // The generators panic where they cannot write; to memory they can.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "remapctl", &mut text);
    out.write_all(&text)?;
    Ok(Answer::Good)
}

/// `remapctl man`.
pub(crate) fn pages(directory: &Path) -> Result<Answer, Failure> {
    let command = Arguments::command().disable_help_subcommand(true);
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory))
        .map_err(|error| Failure::file("write", directory, &error))?;
    Ok(Answer::Good)
}
