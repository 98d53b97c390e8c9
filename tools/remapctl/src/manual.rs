// SPDX-License-Identifier: GPL-2.0

//! Writes the manual, and the completions of shells.

use std::{
    fs,
    io::Write,
    path::Path, //
};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    arguments::{
        self,
        Arguments, //
    },
    device_mapper::{
        DeviceMapper,
        Slot, //
    },
    failure::Failure,
    figures::printable,
    status,
    sysfs::Sysfs,
    Answer, //
};

/// Placeholder for the names of the remap devices while completions are generated.
const DEVICES: &str = "REMAP_DEVICES";

/// Returns a command as completions offer it: without hidden arguments, and with the placeholder for device
/// names.
fn offered(command: &clap::Command) -> clap::Command {
    let argument = |argument: &clap::Arg| match argument.get_id() == arguments::DEVICE {
        true => argument.clone().value_parser([DEVICES]),
        false => argument.clone(),
    };
    let seen = command.get_arguments().filter(|seen| !seen.is_hide_set());
    let commands = command.get_subcommands();
    let commands = commands.filter(|command| !command.is_hide_set());
    clap::Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .version(command.get_version().unwrap_or_default().to_owned())
        .args(seen.map(argument))
        .subcommands(commands.map(offered))
}

/// Replaces the placeholder by a command that prints the names of the devices at the time of completion.
fn with_devices(shell: Shell, text: &str) -> String {
    let ask = "$(remapctl devices 2>/dev/null)";
    match shell {
        // An action in braces is evaluated.
        Shell::Zsh => text.replace(
            &format!("({DEVICES})"),
            &format!("{{compadd -- ${{(f)\"{ask}\"}}}}"),
        ),
        Shell::Bash => text.replace(DEVICES, ask),
        // The generator for fish completes options only; `words` completes the names after a command.
        Shell::Fish => {
            let ask = "\"(remapctl devices 2>/dev/null)\"";
            let words = ["status", "list", "target"].map(|command| {
                format!("complete -c remapctl -n \"__fish_seen_subcommand_from {command}\" -f -a {ask}\n")
            });
            text.replace(&format!("\"{DEVICES}\\t''\""), ask) + &words.concat()
        }
        // Other shells get no names.
        _ => text.replace(DEVICES, ""),
    }
}

/// Runs `remapctl completions`.
pub(crate) fn completions(shell: Shell, out: &mut dyn Write) -> Result<Answer, Failure> {
    // The generators panic if they cannot write, so they write to memory.
    let mut text = Vec::new();
    let mut command = offered(&Arguments::command());
    clap_complete::generate(shell, &mut command, "remapctl", &mut text);
    let text = with_devices(shell, &String::from_utf8_lossy(&text));
    out.write_all(text.as_bytes())?;
    Ok(Answer::Good)
}

/// Runs `remapctl devices`, which completions call: prints a word for each remap device, which needs no
/// quotes in a shell.
pub(crate) fn devices(
    sysfs: &Sysfs,
    mapper: &dyn DeviceMapper,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    for device in sysfs.devices()? {
        let lines = status::lines(mapper, &device, Slot::Live).unwrap_or(None);
        if lines.is_none_or(|lines| lines.is_empty()) {
            continue;
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.:=@_".contains(&byte);
        let name = printable(&device.name);
        let word = match name.bytes().all(is_plain) {
            true => &name,
            false => &device.node,
        };
        writeln!(out, "{word}")?;
    }
    Ok(Answer::Good)
}

/// Runs `remapctl man`.
pub(crate) fn pages(directory: &Path) -> Result<Answer, Failure> {
    let command = Arguments::command().disable_help_subcommand(true);
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory))
        .map_err(|error| Failure::file("write", directory, &error))?;
    Ok(Answer::Good)
}
