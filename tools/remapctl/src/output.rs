// SPDX-License-Identifier: GPL-2.0

//! Writes standard output and files. A file is replaced as a whole.

use std::{
    fs::{
        self,
        File,
        OpenOptions,
        Permissions, //
    },
    io::{
        self,
        Write, //
    },
    os::unix::fs::{
        FileTypeExt,
        PermissionsExt, //
    },
    path::Path,
};

use serde::Serialize;

use crate::failure::Failure;

/// Prints a line on standard error. If that fails, there is no other place to report it.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "remapctl: {text}");
}

/// Writes `text` to the file, or to `out` if there is no path or it is `-`.
pub(crate) fn write(path: Option<&Path>, text: &str, out: &mut dyn Write) -> Result<(), Failure> {
    match path {
        None => Ok(out.write_all(text.as_bytes())?),
        Some(path) if path == Path::new("-") => Ok(out.write_all(text.as_bytes())?),
        Some(path) => put(path, text).map_err(|error| Failure::file("write", path, &error)),
    }
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => replace(path, text, Some(metadata.permissions())),
        Ok(_) => stream(path, text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(path, text, None),
        Err(error) => Err(error),
    }
}

/// Replaces the contents of a file by `text`, or creates the file. Readers see the old contents or the new
/// ones. If this fails, nothing has changed.
fn replace(path: &Path, text: &str, permissions: Option<Permissions>) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // Limited by the umask, as for any new file.
    let mut temporary = tempfile::Builder::new()
        .prefix(&hidden)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    temporary.write_all(text.as_bytes())?;
    if let Some(permissions) = permissions {
        temporary.as_file().set_permissions(permissions)?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes `text` into a pipe or a character device, which must not be replaced. A link to one of them is
/// followed, as /dev/stdout. A link to anything else is an error.
fn stream(path: &Path, text: &str) -> io::Result<()> {
    let is_stream = |metadata: fs::Metadata| {
        let kind = metadata.file_type();
        kind.is_fifo() || kind.is_char_device()
    };
    let mut opened: File = OpenOptions::new().write(true).open(path)?;
    if !is_stream(opened.metadata()?) {
        return Err(io::Error::other(
            "neither a file nor a pipe (links to files are not followed; - is standard output)",
        ));
    }
    opened.write_all(text.as_bytes())
}

/// Writes JSON, with line breaks and indentation.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::Undone(format!("cannot write JSON: {error}")))?;
    Ok(writeln!(out, "{text}")?)
}
