// SPDX-License-Identifier: GPL-2.0

//! Lists the remaps of a device, by the message `list`.

use std::io::Write;

use crate::{
    arguments::ListArguments,
    device::{
        self,
        Device, //
    },
    device_mapper::{
        DeviceMapper,
        Slot, //
    },
    failure::Failure,
    figures::printable,
    remap_list::{
        Page,
        Remap, //
    },
    status,
    sysfs::Sysfs,
    Answer, //
};

/// Calls `each` with every remap of the target that starts at `start`, in order.
fn for_each(
    mapper: &dyn DeviceMapper,
    device: &Device,
    start: u64,
    each: &mut dyn FnMut(&Remap) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut asked = String::from("list");
    let mut from = None;
    loop {
        let reply = mapper.message(&device.kernel_name, start, &asked)?;
        let page = Page::parse(&reply).ok_or_else(|| {
            let name = printable(&device.name);
            Failure::Undone(format!(
                "cannot make sense of the reply of {name} to '{asked}': {reply}"
            ))
        })?;
        page.remaps.iter().try_for_each(&mut *each)?;
        let Some(next) = page.next else {
            return Ok(());
        };
        // Without this check, a list that goes back would never end.
        if from.is_some_and(|from| next <= from) {
            let name = printable(&device.name);
            return Err(Failure::Undone(format!(
                "the list of {name} goes back to sector {next}"
            )));
        }
        asked = format!("list {next}");
        from = Some(next);
    }
}

/// Runs `remapctl list`.
pub(crate) fn run(
    sysfs: &Sysfs,
    mapper: &dyn DeviceMapper,
    asked: &ListArguments,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let devices = sysfs.devices()?;
    let device = device::find(&devices, &asked.device)?;
    let targets = status::lines(mapper, device, Slot::Live)?.unwrap_or_default();
    if targets.is_empty() {
        return Err(device.no_remap_target());
    }
    let json = asked.json;
    let mut count = 0_u64;
    if !json {
        writeln!(out, "{:>15}  {:>15}  FLAGS", "SECTOR", "SPARE SECTOR")?;
    }
    for target in targets {
        for_each(mapper, device, target.start, &mut |remap| {
            if json {
                let separator = if count == 0 { "[\n  " } else { ",\n  " };
                let remap = serde_json::to_string(remap).unwrap_or_default();
                write!(out, "{separator}{remap}")?;
            } else {
                let flags = remap.flags.join(",");
                let (sector, spare) = (remap.sector, remap.spare_sector);
                writeln!(
                    out,
                    "{}",
                    format!("{sector:>15}  {spare:>15}  {flags}").trim_end()
                )?;
            }
            count += 1;
            Ok(())
        })?;
    }
    match (json, count) {
        (true, 0) => writeln!(out, "[]")?,
        (true, _) => writeln!(out, "\n]")?,
        (false, 1) => writeln!(out, "1 remapped block")?,
        (false, _) => writeln!(out, "{count} remapped blocks")?,
    }
    Ok(Answer::Good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_mapper::Line;

    /// Device-mapper that answers every message with the same page.
    struct Parrot(&'static str);

    impl DeviceMapper for Parrot {
        fn table(&self, _: &str, _: Slot) -> Result<Option<Vec<Line>>, Failure> {
            Ok(None)
        }

        fn status(&self, _: &str) -> Result<Option<Vec<Line>>, Failure> {
            Ok(None)
        }

        fn message(&self, _: &str, _: u64, _: &str) -> Result<String, Failure> {
            Ok(String::from(self.0))
        }
    }

    #[test]
    fn a_list_that_goes_round_ends() {
        let mut count = 0;
        let device = Device::example();
        let listed = for_each(&Parrot("0 0 -\nmore 8"), &device, 0, &mut |_| {
            count += 1;
            if count > 2 {
                return Err(Failure::Closed);
            }
            Ok(())
        });
        assert!(listed.is_err());
        assert_eq!(count, 2);
    }
}
