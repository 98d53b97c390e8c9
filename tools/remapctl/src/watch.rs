// SPDX-License-Identifier: GPL-2.0

//! A live view of the test that runs and of the devices.

use std::io::{
    self,
    IsTerminal,
    Write, //
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
    record::{
        Latency,
        Results, //
    },
    status::{
        self,
        Status, //
    },
    stress,
    stress_status::{
        Run,
        StressStatus,
        TestResult, //
    },
    sysfs::Sysfs,
    Answer, //
};

/// What is seen at one look.
struct Look {
    stress: StressStatus,
    /// Only root may read them.
    results: Option<Results>,
    devices: Vec<Status>,
}

impl Look {
    fn take(sysfs: &Sysfs, mapper: &dyn DeviceMapper) -> Result<Self, Failure> {
        Ok(Self {
            stress: stress::status(sysfs)?,
            results: Results::read(sysfs).unwrap_or(None),
            devices: status::all(sysfs, mapper)?,
        })
    }

    /// The test that runs.
    fn running(&self) -> Option<&Run> {
        self.stress.run.as_ref().filter(|_| self.stress.running)
    }

    /// Operations and MB a second since the look before; from the start of the test where that was
    /// at another test.
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

    /// All of it in one line.
    fn line(&self, before: Option<&Look>) -> String {
        let mut parts = Vec::new();
        match (&self.stress.run, self.running()) {
            (None, _) => parts.push(String::from("no test has run")),
            (Some(run), None) => parts.push(ended(run)),
            (Some(_), Some(run)) => {
                let (iops, rate) = self.rates(run, before);
                parts.push(format!(
                    "RUNNING {} {} %, {} IOPS, {rate:.0} MB/s, {} errors",
                    run.device,
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
        parts.extend(self.devices.iter().map(|device| {
            let (remapped, spares) = (device.remapped, device.spare_blocks);
            format!(
                "{} {} {remapped}/{spares}",
                printable(&device.device),
                device.health
            )
        }));
        parts.join("; ")
    }

    /// All of it on a terminal.
    fn view(&self, before: Option<&Look>) -> String {
        let mut lines = Vec::new();
        match (&self.stress.run, self.running()) {
            (None, _) => lines.push(String::from("no test has run")),
            (Some(run), None) => lines.push(ended(run)),
            (Some(_), Some(run)) => {
                let (iops, rate) = self.rates(run, before);
                let (elapsed, duration) = (seconds(run.elapsed_ms), seconds(run.duration_ms));
                lines.push(bar(run.progress));
                lines.push(format!("{}, {elapsed} of {duration}", run.device));
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
        let width = self
            .devices
            .iter()
            .map(|device| printable(&device.device).len())
            .max();
        for device in &self.devices {
            let name = printable(&device.device);
            lines.push(format!(
                "{name:<width$}  {:<10}  {} of {} spare blocks, {} lost sectors, {} errors",
                device.health,
                device.remapped,
                device.spare_blocks,
                device.lost_sectors,
                device.errors(),
                width = width.unwrap_or(0)
            ));
        }
        lines.join("\n")
    }
}

fn ended(run: &Run) -> String {
    let result = run.result.map_or("", TestResult::word);
    let (operations, iops) = (run.operations, short(run.iops as f64));
    format!(
        "{result} {}: {operations} operations, {iops} IOPS, {} errors",
        run.device, run.errors
    )
}

/// Where looks are shown.
enum View<'a> {
    /// In one place of a terminal, and how many lines that is.
    Terminal(Term, usize),
    /// One after the other.
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
                // What does not fit would be more lines than are cleared, or scroll away.
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

/// Leaves nothing behind, whatever happens.
impl Drop for View<'_> {
    fn drop(&mut self) {
        if let View::Terminal(terminal, shown) = self {
            // The terminal may have written "^C" there.
            let _ = terminal.clear_line();
            let _ = terminal.clear_last_lines(*shown);
        }
    }
}

/// A bar of 40 characters.
fn bar(percent: u64) -> String {
    let done = usize::try_from(percent.min(100)).unwrap_or(100) * 40 / 100;
    format!(
        "{}{} {percent:>3} %",
        "━".repeat(done),
        "─".repeat(40 - done)
    )
}

/// `remapctl watch`.
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
    loop {
        let look = Look::take(sysfs, mapper)?;
        view.show(&look, before.as_ref())?;
        looks += 1;
        if asked.count == Some(looks) || interrupt.wait(asked.interval) {
            return Ok(Answer::Good);
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
            devices: Vec::new(),
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
