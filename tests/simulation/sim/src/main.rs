// SPDX-License-Identifier: GPL-2.0

//! Seeded histories of the target, judged against a model.
//!
//! The sources under `remap`, `linux` and in `remap_core` are those of the module, as they are.

mod faults;
mod fill;
mod history;
mod judgement;
#[allow(dead_code)]
mod linux;
mod model;
mod nth;
#[allow(dead_code)]
mod remap;
mod senders;
mod settings;
mod unit;
mod users;

use std::{
    mem::MaybeUninit,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use linux::device_mapper::Registration;
use remap::RemapTarget;
use settings::{Kind, Nth};

#[global_allocator]
static ARENA: machine::arena::Arena = machine::arena::Arena;

static MODULE: kernel::ThisModule = kernel::ThisModule;

const USAGE: &str = "\
usage: sim [-k KIND]... [-s SEED] [-n COUNT] [-t SECONDS] [-f FAILURES] [-v]

Runs histories of consecutive seeds: COUNT of each kind (1 where a seed is given, else 1000), or as many as
have time in SECONDS. Without a seed the first one is drawn, and printed.

  -k KIND      swarm, crash, move, fill, gate, pages, wholesale, pair, damage, shape, nth; all of them
               by default
  -f FAILURES  end after so many failures (1)
  -v           print what happened in a history that fails; with one history, in any case
  -p           the same at once, for when the process does not live to print it";

struct Options {
    kinds: Vec<Kind>,
    seed: u64,
    count: u64,
    seconds: Option<u64>,
    failures: u64,
    verbose: bool,
}

fn options() -> Option<Options> {
    let mut options = Options {
        kinds: Vec::new(),
        seed: 0,
        count: 0,
        seconds: None,
        failures: 1,
        verbose: false,
    };
    let (mut seed, mut count) = (None, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next()?.parse::<u64>().ok();
        match word.as_str() {
            "-s" => seed = Some(number()?),
            "-n" => count = Some(number()?),
            "-t" => options.seconds = Some(number()?),
            "-f" => options.failures = number()?,
            "-v" => options.verbose = true,
            "-p" => {
                options.verbose = true;
                machine::scheduler::print_at_once();
            }
            "-k" => {
                let name = words.next()?;
                options
                    .kinds
                    .push(Kind::ALL.into_iter().find(|kind| kind.name() == name)?);
            }
            _ => return None,
        }
    }
    if options.kinds.is_empty() {
        options.kinds = Kind::ALL.to_vec();
    }
    options.count = count.unwrap_or(if seed.is_some() { 1 } else { 1000 });
    options.seed = seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(1, |since| since.as_nanos() as u64 % 1_000_000_007)
    });
    Some(options)
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

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    std::panic::set_hook(Box::new(|panic| {
        machine::arena::leave();
        let (kind, seed) = CURRENT.get();
        println!("FAILED   {kind} seed {seed}: {panic}");
        // Nobody unwinds through C.
        std::process::exit(1);
    }));
    register();
    // What outlives runs, such as the sources' own statics, is as every later run finds it.
    history::run(Kind::Move, 0, false);
    let mut failures = 0;
    for (n, kind) in options.kinds.iter().enumerate() {
        let left = (options.kinds.len() - n) as u64;
        let share = options
            .seconds
            .map(|seconds| seconds * 1000 / options.kinds.len() as u64);
        let deadline = share
            .filter(|_| left > 0)
            .map(|ms| Instant::now() + Duration::from_millis(ms));
        failures += run_kind(*kind, &options, deadline);
    }
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
