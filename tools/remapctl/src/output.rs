// SPDX-License-Identifier: GPL-2.0

//! Where answers go: to standard output, or into a file that is there as a whole or not at all.

use std::{
    fs::{
        self,
        File, //
    },
    io::{
        self,
        Write, //
    },
    path::Path,
    process,
};

use serde::Serialize;

use crate::failure::Failure;

/// Writes `text` to the file, or to `out` where none is named.
pub(crate) fn write(path: Option<&Path>, text: &str, out: &mut dyn Write) -> Result<(), Failure> {
    match path {
        None => Ok(out.write_all(text.as_bytes())?),
        Some(path) if path == Path::new("-") => Ok(out.write_all(text.as_bytes())?),
        Some(path) => replace(path, text).map_err(|error| Failure::file("write", path, &error)),
    }
}

/// Puts `text` in the place of what the file held. Readers see the one or the other.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A pipe or a device is not to be replaced by a file, nor a link by what it points at.
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::write(path, text);
    }
    let Some(name) = path.file_name() else {
        return fs::write(path, text);
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", process::id()));
    let temporary = path.with_file_name(hidden);
    let written = File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Writes JSON for people to read, too.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::Undone(format!("cannot write JSON: {error}")))?;
    Ok(writeln!(out, "{text}")?)
}
