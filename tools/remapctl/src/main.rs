// SPDX-License-Identifier: GPL-2.0

//! `remapctl`: shows remap devices, and runs and reports their stress tests.
//!
//! Reads sysfs and debugfs, asks device-mapper by its ioctls, and keeps no state of its own.

#![forbid(unsafe_code)]

mod arguments;
mod baseline;
mod charts;
mod device;
mod device_mapper;
mod duration;
mod failure;
mod figures;
mod interrupt;
mod manual;
mod metrics;
mod name;
mod output;
mod page;
mod places;
mod progress;
mod record;
mod remap_list;
mod remaps;
mod report;
mod request;
mod size;
mod state;
mod status;
mod status_view;
mod stress;
mod stress_status;
mod sysfs;
mod table;
mod watch;

use std::{
    io::{
        self,
        BufWriter,
        IsTerminal,
        Write, //
    },
    process::ExitCode,
};

use clap::Parser;

use crate::{
    arguments::{
        Arguments,
        BaselineCommand,
        Command,
        StressCommand, //
    },
    device_mapper::{
        DeviceMapper,
        Kernel,
        Recording, //
    },
    failure::Failure,
    sysfs::Sysfs,
};

/// Result of a command that has done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing is wrong.
    Good,
    /// Something is wrong: a test has failed, or a device is not well.
    Bad,
}

impl Answer {
    const fn exit_status(self) -> u8 {
        match self {
            Answer::Good => 0,
            Answer::Bad => 1,
        }
    }
}

fn main() -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let answer = match Arguments::try_parse() {
        Ok(arguments) => carry_out(&arguments, &mut out),
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => explain(&help, &mut out),
    };
    let answer = answer.and_then(|answer| {
        out.flush()?;
        Ok(answer)
    });
    ExitCode::from(match answer {
        Ok(answer) => answer.exit_status(),
        Err(failure) => {
            if failure != Failure::Closed {
                output::say(&failure.to_string());
            }
            failure.exit_status()
        }
    })
}

/// Writes help or the version. clap itself would ignore a full output.
fn explain(help: &clap::Error, out: &mut dyn Write) -> Result<Answer, Failure> {
    let text = help.render();
    if io::stdout().is_terminal() {
        write!(out, "{}", text.ansi())?;
    } else {
        write!(out, "{text}")?;
    }
    Ok(Answer::Good)
}

fn carry_out(arguments: &Arguments, out: &mut dyn Write) -> Result<Answer, Failure> {
    let sysfs = Sysfs::new(&arguments.sys);
    let mapper = || -> Result<Box<dyn DeviceMapper>, Failure> {
        Ok(match &arguments.mapper {
            Some(directory) => Box::new(Recording::new(directory)),
            None => Box::new(Kernel::open()?),
        })
    };
    match &arguments.command {
        Command::Completions { .. } | Command::Man { .. } | Command::Metrics { .. } => {}
        _ => sysfs.require_module()?,
    }
    match &arguments.command {
        Command::Completions { shell } => manual::completions(*shell, out),
        Command::Man { output } => manual::pages(output),
        Command::Metrics { output } => metrics::run(&sysfs, mapper, output.as_deref(), out),
        Command::Status(asked) => status::run(&sysfs, &*mapper()?, asked, out),
        Command::List(asked) => remaps::run(&sysfs, &*mapper()?, asked, out),
        Command::Devices => manual::devices(&sysfs, &*mapper()?, out),
        Command::Watch(asked) => watch::run(&sysfs, &*mapper()?, asked, out),
        Command::Stress(command) => stress(&sysfs, command, out),
        Command::Baseline(command) => baselines(&sysfs, command, out),
    }
}

fn stress(sysfs: &Sysfs, command: &StressCommand, out: &mut dyn Write) -> Result<Answer, Failure> {
    match command {
        StressCommand::Run(asked) => stress::run(sysfs, asked, out),
        StressCommand::Stop => stress::stop(sysfs),
        StressCommand::Target(asked) => stress::target(sysfs, asked),
        StressCommand::Adjust(asked) => stress::adjust(sysfs, asked),
        StressCommand::Report(asked) => report::run(sysfs, asked, out),
    }
}

fn baselines(
    sysfs: &Sysfs,
    command: &BaselineCommand,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    match command {
        BaselineCommand::Save { file } => baseline::save(sysfs, file, out),
        BaselineCommand::Load { file } => baseline::load(sysfs, file),
        BaselineCommand::Show { json } => baseline::show(sysfs, *json, out),
    }
}
