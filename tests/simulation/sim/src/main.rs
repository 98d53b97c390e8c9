// SPDX-License-Identifier: GPL-2.0

//! Seeded histories of the target, judged against a model.
//!
//! The sources under `remap`, `stress`, `linux` and in `remap_core` are those of the module, as they are.

// The macros of pin_init take a step for each field of a table.
#![recursion_limit = "256"]

mod copies;
mod errno;
mod exact;
mod faults;
mod fill;
mod history;
mod judgement;
mod kind;
#[allow(dead_code)]
mod linux;
mod log;
mod mistakes;
mod model;
mod module;
mod nth;
mod old_format;
mod openers;
mod options;
mod other_tables;
mod outage;
#[allow(dead_code)]
mod remap;
mod replies;
mod reports;
mod scrub;
mod senders;
mod settings;
mod shells;
#[allow(dead_code)]
mod stress;
mod unit;
mod upkeep;
mod users;
mod wishes;

use std::{
    mem::MaybeUninit,
    process::ExitCode,
    time::{Duration, Instant},
};

use kind::Kind;
use linux::device_mapper::Registration;
use options::{Options, USAGE};
use remap::RemapTarget;
use settings::Nth;

#[global_allocator]
static ARENA: machine::arena::Arena = machine::arena::Arena;

pub(crate) static MODULE: kernel::ThisModule = kernel::ThisModule;

/// Returns the names in the list of locks that the sources have, in the order in which they nest.
fn listed_locks() -> Vec<&'static str> {
    let lines = include_str!("remap/table.rs").lines();
    let listed = lines.filter_map(|line| {
        let (number, rest) = line.strip_prefix("/// ")?.split_once(". `")?;
        number.parse::<u32>().ok()?;
        Some(rest.split_once('`')?.0)
    });
    listed.collect()
}

/// As the module's init does.
fn register() {
    remap::init();
    let place = Box::leak(Box::new(MaybeUninit::<Registration<RemapTarget>>::uninit()));
    // SAFETY: The place stays where it is for ever.
    let registered =
        unsafe { pin_init::raw_try_init(place.as_mut_ptr(), Registration::new(&MODULE)) };
    assert!(registered.is_ok());
}

/// What is known of the histories of a kind.
struct Session<'a> {
    kind: Kind,
    options: &'a Options,
    deadline: Option<Instant>,
    runs: u64,
    failures: u64,
    operations: u64,
}

impl Session<'_> {
    fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn is_over(&self) -> bool {
        let enough = match self.deadline {
            Some(_) => self.is_late(),
            None => self.runs >= self.options.count,
        };
        enough || self.failures == self.options.failures
    }

    /// Runs the history of a seed. Returns whether the call was met that it dooms.
    fn run(&mut self, seed: u64) -> bool {
        let options = self.options;
        let only = options.count == 1 && options.seconds.is_none() && options.verbose;
        CURRENT.set((self.kind.name(), seed));
        let outcome = history::run(self.kind, seed, only);
        let hit = outcome.hit;
        self.runs += 1;
        self.operations += outcome.operations;
        let Some(failure) = &outcome.failure else {
            if only {
                outcome.trace.iter().for_each(|line| println!("{line}"));
            }
            return hit;
        };
        self.failures += 1;
        println!("FAILED   {} seed {seed}: {failure}", self.kind.name());
        if options.verbose {
            let again = if only {
                outcome
            } else {
                history::run(self.kind, seed, true)
            };
            again.trace.iter().for_each(|line| println!("{line}"));
            if again.failure.is_none() {
                println!("         it did not fail with a trace");
            }
        }
        true
    }

    fn run_seeds(&mut self) {
        for seed in self.options.seed.. {
            if self.is_over() {
                break;
            }
            self.run(seed);
        }
    }

    /// Dooms each call of a script in turn, in each way, until there is none left: one variation of the
    /// script after another.
    fn run_calls(&mut self) {
        if self.options.count == 1 && self.deadline.is_none() {
            return self.run_seeds();
        }
        for variation in Nth::variation(self.options.seed).. {
            if self.is_over() {
                break;
            }
            for way in 0..Nth::WAYS {
                let mut n = 1;
                while n < Nth::MOST && self.failures < self.options.failures && !self.is_late() {
                    if !self.run(Nth::seed(variation, way, n)) {
                        break;
                    }
                    n += 1;
                }
            }
        }
    }
}

fn run_kind(kind: Kind, options: &Options, deadline: Option<Instant>) -> u64 {
    let began = Instant::now();
    let mut session = Session {
        kind,
        options,
        deadline,
        runs: 0,
        failures: 0,
        operations: 0,
    };
    match kind {
        Kind::Nth => session.run_calls(),
        _ => session.run_seeds(),
    }
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    println!(
        "{:<9} {} histories from seed {}, {} failed, {} operations, {:.0} histories a second",
        kind.name(),
        session.runs,
        options.seed,
        session.failures,
        session.operations,
        session.runs as f64 / seconds
    );
    session.failures
}

thread_local! {
    /// What is under way, for when it panics.
    static CURRENT: std::cell::Cell<(&'static str, u64)> = const { std::cell::Cell::new(("", 0)) };
}

/// Runs the histories that a file lists, a line each: kind, first seed, how many, and why.
fn run_corpus(text: &str, options: &Options) -> u64 {
    let mut failures = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |n: usize| words.get(n).and_then(|word| word.parse::<u64>().ok());
        let kind = words.first().and_then(|name| Kind::named(name));
        let (Some(kind), Some(seed), Some(count)) = (kind, number(1), number(2)) else {
            println!("FAILED   no line of a corpus: {line}");
            failures += 1;
            continue;
        };
        let options = Options {
            seed,
            count,
            ..options.clone()
        };
        failures += run_kind(kind, &options, None);
    }
    failures
}

/// Runs each history twice, and fails where it is another one the second time. Prints what all of them
/// come to, which is the same in every process.
fn compare_twice(options: &Options) -> u64 {
    let mut failures = 0;
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    for kind in &options.kinds {
        for seed in options.seed..options.seed + options.count {
            CURRENT.set((kind.name(), seed));
            let first = history::run(*kind, seed, true);
            let second = history::run(*kind, seed, true);
            let silent = history::run(*kind, seed, false);
            let same = first.trace == second.trace
                && first.operations == silent.operations
                && first.failure == silent.failure;
            if !same {
                println!("FAILED   {} seed {seed} is not the same twice", kind.name());
                failures += 1;
            }
            for byte in first.trace.iter().flat_map(|line| line.bytes()) {
                digest = (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
    println!(
        "{} histories of each kind from seed {}, twice: {failures} differ, digest {digest:016x}",
        options.count, options.seed
    );
    failures
}

/// Runs the kinds one after the other, each for its share of the time.
fn run_kinds(options: &Options) -> u64 {
    let mut failures = 0;
    for kind in &options.kinds {
        let share = options
            .seconds
            .map(|seconds| seconds * 1000 / options.kinds.len() as u64);
        let deadline = share.map(|ms| Instant::now() + Duration::from_millis(ms));
        let count = match options.kinds.len() {
            1 => options.count,
            _ => options.count.div_ceil(kind.cost()),
        };
        let options = Options {
            count,
            ..options.clone()
        };
        failures += run_kind(*kind, &options, deadline);
    }
    failures
}

fn main() -> ExitCode {
    let Some(options) = Options::parse() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if options.jobs > 1 {
        return options.share_out();
    }
    std::panic::set_hook(Box::new(|panic| {
        machine::arena::leave();
        let (kind, seed) = CURRENT.get();
        println!("FAILED   {kind} seed {seed}: {panic}");
        // Nobody unwinds through C.
        std::process::exit(1);
    }));
    machine::lock::set_order(listed_locks());
    register();
    // What outlives runs, such as the sources' own statics, is as every later run finds it.
    history::run(Kind::Move, 0, false);
    let failures = match &options.corpus {
        _ if options.twice => compare_twice(&options),
        Some(text) => run_corpus(text, &options),
        None => run_kinds(&options),
    };
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
