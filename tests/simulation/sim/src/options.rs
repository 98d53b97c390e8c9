// SPDX-License-Identifier: GPL-2.0

//! What the simulator is told on its command line.

use std::{
    process::{Command, ExitCode},
    time::SystemTime,
};

use crate::kind::Kind;

pub(crate) const USAGE: &str = "\
usage: sim [-k KIND]... [-s SEED] [-n COUNT] [-t SECONDS] [-j JOBS] [-f FAILURES] [-c FILE | -d] [-v | -p]

Runs histories of consecutive seeds: COUNT of each kind (1 where a seed is given, else 1000), fewer of the
costly ones, or as many as have time in SECONDS. Without a seed the first one is drawn, and printed.

  -k KIND      swarm, crash, move, fill, gate, pages, wholesale, pair, damage, shape, nth, copies, outage, stress,
               exact; all of them by default
  -j JOBS      share them out to so many processes
  -f FAILURES  end a kind after so many failures (1)
  -c FILE      run the histories that a file lists, a line each: kind, first seed, how many, and why
  -d           run each twice (and COUNT is 20), and compare
  -v           print what happened in a history that fails; with one history, in any case
  -p           the same at once, for when the process does not live to print it";

/// Seeds between two processes.
const STRIDE: u64 = 1_000_000_000;

/// What is wanted.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) seed: u64,
    pub(crate) count: u64,
    pub(crate) seconds: Option<u64>,
    pub(crate) jobs: u64,
    pub(crate) failures: u64,
    /// Text of a corpus.
    pub(crate) corpus: Option<String>,
    pub(crate) twice: bool,
    pub(crate) verbose: bool,
}

impl Options {
    /// Returns what the command line says, unless it is wrong.
    pub(crate) fn parse() -> Option<Self> {
        let mut options = Self {
            kinds: Vec::new(),
            seed: 0,
            count: 0,
            seconds: None,
            jobs: 1,
            failures: 1,
            corpus: None,
            twice: false,
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
                "-j" => options.jobs = number()?,
                "-f" => options.failures = number()?,
                "-c" => options.corpus = Some(std::fs::read_to_string(words.next()?).ok()?),
                "-d" => options.twice = true,
                "-v" => options.verbose = true,
                "-p" => {
                    options.verbose = true;
                    machine::scheduler::print_at_once();
                }
                "-k" => options.kinds.push(Kind::named(&words.next()?)?),
                _ => return None,
            }
        }
        if options.kinds.is_empty() {
            options.kinds = Kind::ALL.to_vec();
        }
        options.count = count.unwrap_or(match seed {
            _ if options.twice => 20,
            Some(_) => 1,
            None => 1000,
        });
        options.seed = seed.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(1, |since| since.as_nanos() as u64 % STRIDE)
        });
        Some(options)
    }

    /// Lets other processes run the histories, each a part of them from a seed of its own.
    pub(crate) fn share_out(&self) -> ExitCode {
        let Ok(program) = std::env::current_exe() else {
            return ExitCode::FAILURE;
        };
        let processes: Vec<_> = (0..self.jobs)
            .map(|job| {
                let mut command = Command::new(&program);
                let seed = self.seed + job * STRIDE;
                command.args(["-s", &seed.to_string()]);
                command.args(["-n", &self.count.div_ceil(self.jobs).to_string()]);
                command.args(["-f", &self.failures.to_string()]);
                if let Some(seconds) = self.seconds {
                    command.args(["-t", &seconds.to_string()]);
                }
                if self.verbose {
                    command.arg("-v");
                }
                for kind in &self.kinds {
                    command.args(["-k", kind.name()]);
                }
                command.spawn()
            })
            .collect();
        let ended = processes.into_iter().map(|process| process?.wait());
        let ended: Vec<bool> = ended
            .map(|status| status.is_ok_and(|status| status.success()))
            .collect();
        if ended.iter().all(|well| *well) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
