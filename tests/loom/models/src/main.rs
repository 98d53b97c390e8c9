// SPDX-License-Identifier: GPL-2.0

//! Small programs of two to four tasks, of which loom runs every execution that weakly ordered memory allows, for the
//! gate, the index, `OnceArc` and the cache of the spare as src/ has them.
//!
//! The kernel below them is the crate `kernel`, which says what is taken of it. Each model states one behaviour, in
//! the text that it is listed with; a model that fails ends its process, with the reason as the last line.

mod gate;
mod index;
mod linux;
mod once_arc;
mod remap;

use std::{
    io::Write,
    process::{exit, Command, ExitCode},
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// A behaviour, and the program that would show where it is not so.
struct Model {
    name: &'static str,
    holds: &'static str,
    /// Most times that a task loses its processor to another, where all executions are too many.
    preemptions: Option<usize>,
    run: fn(&Check),
}

/// What a model hands its program to.
struct Check {
    preemptions: Option<usize>,
}

static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

impl Check {
    /// Runs every execution of a program.
    fn every_execution(&self, program: impl Fn() + Send + Sync + 'static) {
        let mut loom = loom::model::Builder::new();
        loom.max_branches = 5_000;
        loom.preemption_bound = self.preemptions;
        loom.check(move || {
            EXECUTIONS.fetch_add(1, Ordering::Relaxed);
            kernel::execution::run(&program);
        });
    }
}

fn models() -> impl Iterator<Item = &'static Model> {
    let groups = [gate::MODELS, index::MODELS, remap::MODELS, once_arc::MODELS];
    groups.into_iter().flatten()
}

/// Runs a model in this process, which ends with it where it fails: nothing is unwound, as loom's objects would
/// fail once more on the way.
fn run_here(model: &'static Model) {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload();
        let message = message
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(message.downcast_ref::<&str>().copied())
            .unwrap_or("a panic");
        let first = message.lines().next().unwrap_or_default();
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        println!("{first} ({place})");
        let _ = std::io::stdout().flush();
        exit(1);
    }));
    let began = Instant::now();
    (model.run)(&Check {
        preemptions: model.preemptions,
    });
    let executions = EXECUTIONS.load(Ordering::Relaxed);
    println!(
        "{executions} executions in {:.1} s",
        began.elapsed().as_secs_f32()
    );
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name] = arguments.as_slice() {
        if first == "--here" {
            run_here(
                models()
                    .find(|model| model.name == name)
                    .expect("there is such a model"),
            );
            return ExitCode::SUCCESS;
        }
    }
    if arguments == ["-h"] {
        println!("usage: models [NAME...]     default: all of them\n");
        models().for_each(|model| println!("  {:<24} {}", model.name, model.holds));
        return ExitCode::SUCCESS;
    }
    let (mut passed, mut failed) = (0, 0);
    for model in models() {
        if !arguments.is_empty() && !arguments.iter().any(|name| name == model.name) {
            continue;
        }
        let process = std::env::current_exe().expect("this program has a name");
        let output = Command::new(process)
            .args(["--here", model.name])
            .output()
            .expect("this program can be run");
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        if output.status.success() {
            passed += 1;
            println!("ok       {}: {last}", model.name);
        } else {
            failed += 1;
            let last = if last.is_empty() {
                "its process has died"
            } else {
                last
            };
            println!("FAILED   {}: {last}\n         {}", model.name, model.holds);
        }
    }
    println!("{passed} passed, {failed} failed, 0 skipped");
    ExitCode::from(u8::from(failed > 0 || passed == 0))
}
