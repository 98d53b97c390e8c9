// SPDX-License-Identifier: GPL-2.0

//! Writes metrics in Prometheus' text format, for node-exporter's textfile collector.

use std::{
    fmt::Display,
    io::Write,
    path::Path, //
};

use crate::{
    device_mapper::DeviceMapper,
    failure::Failure,
    output,
    state::State,
    status::{
        Status,
        Survey,
        SECTOR, //
    },
    stress,
    stress_status::{
        StressStatus,
        RESULTS, //
    },
    sysfs::Sysfs,
    Answer, //
};

/// Known words of health. Other words are shown, too, if a device has them.
const HEALTH: [&str; 8] = [
    "ok",
    "degraded",
    "spare_low",
    "spare_full",
    "spare_failing",
    "outage",
    "failing",
    "read_only",
];
/// Known words for the state of the metadata.
const METADATA: [&str; 4] = ["none", "ok", "degraded", "failed"];

/// Name of a gauge, its help, and a function that returns its value.
type Gauge = (&'static str, &'static str, fn(&State) -> u64);

/// Gauges of the status.
const GAUGES: [Gauge; 6] = [
    (
        "block_size_bytes",
        "Size of a block, the unit that moves.",
        |state| state.block_size.saturating_mul(SECTOR),
    ),
    (
        "remapped_blocks",
        "Blocks that lie on the spare.",
        |state| state.remapped,
    ),
    (
        "spare_blocks",
        "Blocks of the spare area, free ones included.",
        |state| state.spare_blocks,
    ),
    (
        "lost_sectors",
        "Sectors whose contents are lost.",
        |state| state.lost_sectors,
    ),
    (
        "unread_sectors",
        "Sectors that main has, and could not give when their block moved.",
        |state| state.unread_sectors,
    ),
    (
        "pending_blocks",
        "Blocks that wait to be remapped.",
        |state| state.pending_blocks,
    ),
];

/// Counters of the status, each with its help.
const COUNTERS: [(&str, &str); 10] = [
    ("reads", "Bios that read."),
    ("writes", "Bios that change the medium."),
    ("remapped_reads", "Reads that went to the spare."),
    ("remapped_writes", "Writes that went to the spare."),
    (
        "read_errors",
        "Reads that failed on main, and reads of unread and lost sectors.",
    ),
    ("write_errors", "Writes that failed on main."),
    (
        "auto_remaps",
        "Blocks moved to the spare because of an error.",
    ),
    ("manual_remaps", "Blocks moved to the spare by message."),
    ("unremaps", "Blocks moved back to main."),
    ("spare_errors", "I/O that failed on the spare."),
];

/// Counters over all tables: the file, the name of the metric, and its help.
const OPTIMIZATION: [(&str, &str, &str); 5] = [
    (
        "fast_path_hits",
        "fast_path_hits_total",
        "Bios that went to main by the filter alone.",
    ),
    (
        "slow_path_hits",
        "slow_path_hits_total",
        "Bios that needed a look into the index of remaps.",
    ),
    ("total_lookups", "lookups_total", "Look-ups for a bio."),
    ("total_ios", "ios_total", "Bios."),
    (
        "remapped_ios",
        "remapped_ios_total",
        "Bios that went to the spare.",
    ),
];

/// Text of the metrics, one family after the other.
#[derive(Default)]
struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a family. `name` and `help` need no escapes.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.text.push_str(&format!(
            "# HELP dm_remap_{name} {help}\n# TYPE dm_remap_{name} {kind}\n"
        ));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        self.text
            .push_str(&format!("dm_remap_{name}{labels} {value}\n"));
    }

    /// Writes a family of one sample without labels.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Writes a family with a sample for each target that has a value.
    fn of_targets(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        targets: &[Status],
        value: impl Fn(&Status) -> Option<u64>,
    ) {
        self.family(name, kind, help);
        for target in targets {
            let start = target.start.to_string();
            let labels = [("device", target.device.as_str()), ("start", &start)];
            if let Some(value) = value(target) {
                self.sample(name, &labels, value);
            }
        }
    }

    /// Writes a state set: 1 for the current word of a target, 0 for the others.
    fn states(
        &mut self,
        (name, help, words): (&str, &str, &[&str]),
        targets: &[Status],
        word: impl Fn(&State) -> &str,
    ) {
        self.family(name, "gauge", help);
        for target in targets {
            let Some(now) = target.state.as_ref().map(&word) else {
                continue;
            };
            let start = target.start.to_string();
            let other = Some(now).filter(|now| !words.contains(now));
            for state in words.iter().copied().chain(other) {
                let labels = [
                    ("device", target.device.as_str()),
                    ("start", &start),
                    ("state", state),
                ];
                self.sample(name, &labels, u8::from(state == now));
            }
        }
    }
}

/// Escapes the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Runs `remapctl metrics`. Without the module, writes only that it is not loaded. Figures that cannot be
/// read are left out, and reported on standard error.
pub(crate) fn run(
    sysfs: &Sysfs,
    mapper: impl Fn() -> Result<Box<dyn DeviceMapper>, Failure>,
    path: Option<&Path>,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let mut exposition = Exposition::default();
    let mut complaints = Vec::new();
    let loaded = sysfs.has_module();
    let help = "Whether the module dm_remap is loaded.";
    exposition.single("module_loaded", "gauge", help, u8::from(loaded));
    if loaded {
        let survey = Survey::take(sysfs, &*mapper()?)?;
        targets(&mut exposition, &survey.targets);
        complaints.extend(survey.complaints);
        if let Err(failure) = optimization(&mut exposition, sysfs) {
            complaints.push(failure.to_string());
        }
        match stress::status(sysfs) {
            Ok(status) => stress_test(&mut exposition, &status),
            Err(failure) => complaints.push(failure.to_string()),
        }
    }
    output::write(path, &exposition.text, out)?;
    complaints.iter().for_each(|text| output::say(text));
    Ok(if complaints.is_empty() {
        Answer::Good
    } else {
        Answer::Bad
    })
}

fn targets(exposition: &mut Exposition, targets: &[Status]) {
    let gauge = |name, help| (name, "gauge", help);
    let family = gauge("size_bytes", "Length of the target.");
    exposition.of_targets(family, targets, |target| {
        Some(target.length.saturating_mul(SECTOR))
    });
    let family = gauge("status_known", "Whether the target's status could be read.");
    exposition.of_targets(family, targets, |target| {
        Some(u64::from(target.state.is_some()))
    });
    for (name, help, value) in GAUGES {
        exposition.of_targets(gauge(name, help), targets, |target| {
            target.state.as_ref().map(value)
        });
    }
    let family = ("health", "Health of the target.", HEALTH.as_slice());
    exposition.states(family, targets, |state| &state.health);
    let family = (
        "metadata",
        "State of the target's metadata.",
        METADATA.as_slice(),
    );
    exposition.states(family, targets, |state| &state.metadata);
    for (name, help) in COUNTERS {
        let family = (&*format!("{name}_total"), "counter", help);
        exposition.of_targets(family, targets, |target| {
            target.state.as_ref().map(|state| state.counter(name))
        });
    }
}

fn optimization(exposition: &mut Exposition, sysfs: &Sysfs) -> Result<(), Failure> {
    for (file, name, help) in OPTIMIZATION {
        if let Some(value) = sysfs.optimization(file)? {
            let help = format!("{help} Sum over all live tables.");
            exposition.single(name, "counter", &help, value);
        }
    }
    if let Some(percent) = sysfs.optimization("fast_path_hit_rate")? {
        let ratio = format!("{}.{:02}", percent / 100, percent % 100);
        let help = "Share of the bios that went to main by the filter alone.";
        exposition.single("fast_path_hit_ratio", "gauge", help, ratio);
    }
    if let Some(entries) = sysfs.optimization("remap_entries")? {
        let help = "Blocks that lie on a spare, over all tables.";
        exposition.single("remap_entries", "gauge", help, entries);
    }
    Ok(())
}

fn stress_test(exposition: &mut Exposition, status: &StressStatus) {
    let help = "Whether a stress test runs.";
    exposition.single("stress_running", "gauge", help, u8::from(status.running));
    let Some(run) = &status.run else {
        return;
    };
    let test = run.test.to_string();
    let labels = [("device", run.device.as_str()), ("type", test.as_str())];
    for (name, help, value) in [
        (
            "stress_elapsed_milliseconds",
            "Time that the running test, or the last one, has run.",
            run.elapsed_ms,
        ),
        (
            "stress_operations",
            "Operations of that test.",
            run.operations,
        ),
        (
            "stress_errors",
            "Operations of that test that failed.",
            run.errors,
        ),
        ("stress_iops", "Operations a second of that test.", run.iops),
        (
            "stress_bytes_per_second",
            "Throughput of that test.",
            run.megabytes_per_second.saturating_mul(1_000_000),
        ),
    ] {
        exposition.family(name, "gauge", help);
        exposition.sample(name, &labels, value);
    }
    let name = "stress_result";
    exposition.family(name, "gauge", "Result of that test; all 0 while it runs.");
    let now = run.result.as_deref();
    let other = now.filter(|now| !RESULTS.contains(now));
    for result in RESULTS.into_iter().chain(other) {
        let [device, test] = labels;
        let labels = [device, test, ("result", result)];
        exposition.sample(name, &labels, u8::from(now == Some(result)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut exposition = Exposition::default();
        exposition.sample("x", &[("a", "q\"b\\s\nn"), ("b", "é")], 1);
        assert_eq!(
            exposition.text,
            "dm_remap_x{a=\"q\\\"b\\\\s\\nn\",b=\"é\"} 1\n"
        );
        exposition.text.clear();
        exposition.sample("x", &[], 1);
        assert_eq!(exposition.text, "dm_remap_x 1\n");
    }

    #[test]
    fn one_state_holds_even_when_it_is_new() {
        let target = |health: &str| Status {
            device: String::from("bad"),
            kernel_name: String::from("bad"),
            number: String::from("253:0"),
            suspended: false,
            start: 0,
            length: 8,
            places: None,
            state: State::parse(&format!("0/1 0 0 8 {health} none")),
            problem: None,
        };
        for (health, words) in [("spare_low", 8), ("invented_later", 9)] {
            let mut exposition = Exposition::default();
            let family = ("health", "", HEALTH.as_slice());
            exposition.states(family, &[target(health)], |state| &state.health);
            let states: Vec<&str> = exposition
                .text
                .lines()
                .filter(|line| !line.starts_with('#'))
                .collect();
            assert_eq!(states.len(), words);
            let holding: Vec<&&str> = states.iter().filter(|line| line.ends_with(" 1")).collect();
            assert_eq!(holding.len(), 1);
            assert!(holding[0].contains(&format!("state=\"{health}\"")));
        }
    }
}
