// SPDX-License-Identifier: GPL-2.0

//! Shows a live view of the running test and of the devices.

use std::{
    collections::BTreeSet,
    io::{
        self,
        IsTerminal,
        Write, //
    },
};

use console::{
    truncate_str,
    Term, //
};

use crate::{
    arguments::WatchArguments,
    device_mapper::DeviceMapper,
    failure::Failure,
    figures::{
        nanoseconds,
        printable,
        seconds,
        short, //
    },
    interrupt::Interrupt,
    output,
    record::{
        Latency,
        Results, //
    },
    status::{
        Status,
        Survey, //
    },
    stress,
    stress_status::{
        Run,
        StressStatus, //
    },
    sysfs::Sysfs,
    Answer, //
};

/// State of the stress manager and of the devices at one moment.
struct Look {
    stress: StressStatus,
    /// Results of the test; `None` if they cannot be read. Only root may read them.
    results: Option<Results>,
    devices: Survey,
}

impl Look {
    fn take(sysfs: &Sysfs, mapper: &dyn DeviceMapper) -> Result<Self, Failure> {
        Ok(Self {
            stress: stress::status(sysfs)?,
            results: Results::read(sysfs).unwrap_or(None),
            devices: Survey::take(sysfs, mapper)?,
        })
    }

    /// Returns the running test, if there is one.
    fn running(&self) -> Option<&Run> {
        self.stress.run.as_ref().filter(|_| self.stress.running)
    }

    /// Returns operations and MB a second since the look before. If another test ran then, these are the
    /// averages since the start of this test.
    fn rates(&self, run: &Run, before: Option<&Look>) -> (f64, f64) {
        let since = before.and_then(|before| {
            let earlier = before.running()?;
            let ms = run.elapsed_ms.checked_sub(earlier.elapsed_ms)?;
            let operations = run.operations.checked_sub(earlier.operations)?;
            if ms == 0 {
                return None;
            }
            let bytes = match (&self.results, &before.results) {
                (Some(now), Some(earlier)) => now.bytes.checked_sub(earlier.bytes),
                _ => None,
            };
            let rate = match bytes {
                Some(bytes) => bytes as f64 / 1000.0 / ms as f64,
                None => run.megabytes_per_second as f64,
            };
            Some((operations as f64 * 1000.0 / ms as f64, rate))
        });
        since.unwrap_or((run.iops as f64, run.megabytes_per_second as f64))
    }

    fn latencies(&self) -> Vec<(&'static str, Latency)> {
        let Some(results) = &self.results else {
            return Vec::new();
        };
        [
            ("added", results.added_latency),
            ("read", results.read_latency),
            ("write", results.write_latency),
        ]
        .into_iter()
        .filter_map(|(name, latency)| Some((name, latency?)))
        .collect()
    }

    /// Returns everything in one line.
    fn line(&self, before: Option<&Look>) -> String {
        let mut parts = Vec::new();
        match (&self.stress.run, self.running()) {
            (None, _) => parts.push(String::from("no test has run")),
            (Some(run), None) => parts.push(ended(run)),
            (Some(_), Some(run)) => {
                let (iops, rate) = self.rates(run, before);
                parts.push(format!(
                    "RUNNING {} {} %, {} IOPS, {rate:.0} MB/s, {} errors",
                    printable(&run.device),
                    run.progress,
                    short(iops),
                    run.errors
                ));
                for (name, latency) in self.latencies() {
                    let (p50, p99) = (nanoseconds(latency.p50), nanoseconds(latency.p99));
                    parts.push(format!("{name} p50 {p50} p99 {p99}"));
                }
            }
        }
        parts.extend(self.devices.targets.iter().map(|target| {
            let (name, health) = (printable(&target.device), target.health());
            match &target.state {
                Some(state) => format!("{name} {health} {}/{}", state.remapped, state.spare_blocks),
                None => format!("{name} {health}"),
            }
        }));
        parts.join("; ")
    }

    /// Returns everything in several lines, for a terminal.
    fn view(&self, before: Option<&Look>) -> String {
        let mut lines = Vec::new();
        match (&self.stress.run, self.running()) {
            (None, _) => lines.push(String::from("no test has run")),
            (Some(run), None) => lines.push(ended(run)),
            (Some(_), Some(run)) => {
                let (iops, rate) = self.rates(run, before);
                let (elapsed, duration) = (seconds(run.elapsed_ms), seconds(run.duration_ms));
                lines.push(bar(run.progress));
                let device = printable(&run.device);
                lines.push(format!("{device}, {elapsed} of {duration}"));
                lines.push(format!(
                    "{} IOPS, {rate:.0} MB/s, {} in flight, {} errors",
                    short(iops),
                    run.in_flight,
                    run.errors
                ));
            }
        }
        for (name, latency) in self.latencies() {
            let (p50, p99) = (nanoseconds(latency.p50), nanoseconds(latency.p99));
            lines.push(format!("{name:<6} latency  p50 {p50:<8}  p99 {p99}"));
        }
        lines.push(String::new());
        lines.extend(self.device_lines());
        lines.extend(self.devices.complaints.iter().cloned());
        lines.join("\n")
    }
}

impl Look {
    /// Returns a line for each device, for a terminal.
    fn device_lines(&self) -> Vec<String> {
        let targets = &self.devices.targets;
        let names = targets.iter().map(|target| printable(&target.device));
        let width = names.map(|name| name.len()).max().unwrap_or(0);
        let line = |target: &Status| {
            let (name, health) = (printable(&target.device), target.health());
            let figures = match &target.state {
                Some(state) => format!(
                    "{} of {} spare blocks, {} lost sectors, {} errors",
                    state.remapped,
                    state.spare_blocks,
                    state.lost_sectors,
                    state.errors()
                ),
                None => String::new(),
            };
            format!("{name:<width$}  {health:<10}  {figures}")
        };
        targets.iter().map(line).collect()
    }
}

fn ended(run: &Run) -> String {
    let result = run.result.as_deref().unwrap_or_default();
    let (device, iops) = (printable(&run.device), short(run.iops as f64));
    let (operations, errors) = (run.operations, run.errors);
    format!("{result} {device}: {operations} operations, {iops} IOPS, {errors} errors")
}

/// Form in which looks are shown.
enum View<'a> {
    /// Each look replaces the one before on a terminal; with its number of lines.
    Terminal(Term, usize),
    /// One line for each look.
    Lines(&'a mut dyn Write),
}

impl View<'_> {
    fn show(&mut self, look: &Look, before: Option<&Look>) -> Result<(), Failure> {
        match self {
            View::Lines(out) => {
                writeln!(out, "{}", look.line(before))?;
                out.flush()?;
            }
            View::Terminal(terminal, shown) => {
                // Lines that do not fit would wrap or scroll, and more would be there than are cleared.
                let (height, width) = terminal.size();
                let lines = look.view(before);
                let room = usize::from(height).saturating_sub(1);
                let lines = lines.lines().take(room);
                let fitting = lines.map(|line| truncate_str(line, usize::from(width), "") + "\n");
                let text: String = fitting.collect();
                terminal.clear_last_lines(*shown)?;
                terminal.write_str(&text)?;
                *shown = text.lines().count();
            }
        }
        Ok(())
    }
}

/// Clears the view, also on errors.
impl Drop for View<'_> {
    fn drop(&mut self) {
        if let View::Terminal(terminal, shown) = self {
            // The terminal may have written "^C" there.
            let _ = terminal.clear_line();
            let _ = terminal.clear_last_lines(*shown);
        }
    }
}

/// Returns a bar of 40 characters and the percentage.
fn bar(percent: u64) -> String {
    let done = usize::try_from(percent.min(100)).unwrap_or(100) * 40 / 100;
    format!(
        "{}{} {percent:>3} %",
        "━".repeat(done),
        "─".repeat(40 - done)
    )
}

/// Runs `remapctl watch`.
pub(crate) fn run(
    sysfs: &Sysfs,
    mapper: &dyn DeviceMapper,
    asked: &WatchArguments,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let interrupt = Interrupt::catch()?;
    let mut view = if io::stdout().is_terminal() {
        View::Terminal(Term::stdout(), 0)
    } else {
        View::Lines(out)
    };
    let mut before = None;
    let mut looks = 0;
    let mut said = BTreeSet::new();
    loop {
        let look = Look::take(sysfs, mapper)?;
        view.show(&look, before.as_ref())?;
        for complaint in &look.devices.complaints {
            // On a terminal the view has it.
            if said.insert(complaint.clone()) && matches!(view, View::Lines(_)) {
                output::say(complaint);
            }
        }
        looks += 1;
        if asked.count == Some(looks) || interrupt.wait(asked.interval) {
            return Ok(if said.is_empty() {
                Answer::Good
            } else {
                Answer::Bad
            });
        }
        before = Some(look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(elapsed_ms: u64, operations: u64, bytes: Option<u64>) -> Look {
        let line = format!(
            "RUNNING device=stress type=4 workers=4 in_flight=128 elapsed_ms={elapsed_ms} \
             duration_ms=10000 progress=20% ops={operations} iops=100 mb_s=7 errors=0"
        );
        Look {
            stress: StressStatus::parse(&line).unwrap(),
            results: bytes.map(|bytes| Results {
                bytes,
                ..Results::default()
            }),
            devices: Survey {
                targets: Vec::new(),
                complaints: Vec::new(),
            },
        }
    }

    fn rates(look: &Look, before: Option<&Look>) -> (f64, f64) {
        look.rates(look.running().unwrap(), before)
    }

    #[test]
    fn rates_are_those_between_two_looks() {
        let first = look(1000, 500, Some(1_000_000));
        let second = look(3000, 1500, Some(9_000_000));
        assert_eq!(rates(&first, None), (100.0, 7.0));
        assert_eq!(rates(&second, Some(&first)), (500.0, 4.0));
        // Another test has begun, or no time has passed.
        assert_eq!(rates(&first, Some(&second)), (100.0, 7.0));
        assert_eq!(rates(&first, Some(&first)), (100.0, 7.0));
        // Without the records only the average of the throughput is known.
        assert_eq!(rates(&second, Some(&look(1000, 500, None))), (500.0, 7.0));
    }

    #[test]
    fn a_line_has_what_was_asked_for() {
        let mut look = look(1000, 500, Some(0));
        if let Some(results) = &mut look.results {
            results.added_latency = Some(Latency {
                p50: 96,
                p99: 240,
                ..Latency::default()
            });
        }
        assert_eq!(
            look.line(None),
            "RUNNING stress 20 %, 100 IOPS, 7 MB/s, 0 errors; added p50 96 ns p99 240 ns"
        );
        let view = look.view(None);
        assert!(view.starts_with("━━━━━━━━────"), "{view}");
        assert!(view.contains("stress, 1.0 s of 10.0 s"), "{view}");
        assert!(view.contains("128 in flight"), "{view}");
    }
}
