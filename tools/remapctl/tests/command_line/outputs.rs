// SPDX-License-Identifier: GPL-2.0

//! Output files, outputs that are full or closed, the manual and completions.

use std::{
    fs::{
        self,
        Permissions, //
    },
    os::unix::fs::{
        symlink,
        PermissionsExt, //
    },
    process::Command,
};

use crate::{
    json, stopped,
    tree::{
        Tree,
        STATUS, //
    },
};

#[test]
fn reports_come_in_four_forms() {
    let tree = Tree::new("reports");
    tree.stress("stress_test_status", &stopped("PASSED"));
    tree.records();
    assert_eq!(tree.prints("stress report"), "the report\n");
    let all = json(&tree.prints("stress report --json"));
    assert_eq!(all["results"]["operations"], 3_000_000);
    assert_eq!(all["results"]["seed"], u64::MAX);
    assert_eq!(all["trend"]["samples"].as_array().unwrap().len(), 30);
    assert!(all["histograms"]["added_latency"][0].is_array());
    assert!(tree.prints("stress report --svg").starts_with("<svg "));
    assert_eq!(tree.prints("stress report --html -o report.html"), "");
    let page = tree.read("report.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg "));
    // No temporary file is left.
    assert_eq!(tree.hidden(), [""; 0]);
}

#[test]
fn a_report_without_a_test_says_so() {
    let tree = Tree::new("no_test");
    for form in ["", " --json", " --html", " --svg"] {
        for output in ["", " -o report"] {
            let errors = tree.complains(&format!("stress report{form}{output}"), 1);
            let wanted = "remapctl: no test has run since the module was loaded\n";
            assert_eq!(errors, wanted, "{form}{output}");
        }
    }
    assert!(!tree.path("report").exists());
}

#[test]
fn reports_need_the_records() {
    let tree = Tree::new("no_records");
    tree.stress("stress_test_status", &stopped("PASSED"));
    assert!(tree
        .complains("stress report --html", 3)
        .contains("debugfs"));
    tree.records();
    tree.write("sys/kernel/debug/dm_remap/stress/trend.json", "{\n");
    assert!(tree
        .complains("stress report --json", 3)
        .contains("trend.json"));
}

/// All commands that print.
const PRINTING: [&str; 21] = [
    "status",
    "status --json",
    "status bad",
    "list bad",
    "list bad --json",
    "watch --count 1",
    "stress run quick",
    "stress report",
    "stress report --json",
    "stress report --html",
    "stress report --svg",
    "baseline show",
    "baseline show --json",
    "baseline save -",
    "metrics",
    "metrics -o -",
    "completions bash",
    "help",
    "stress --help",
    "help stress run custom",
    "--version",
];

#[test]
fn an_output_that_is_closed_or_full_is_no_panic() {
    let tree = Tree::new("outputs");
    tree.stress("stress_test_status", &stopped("PASSED"));
    tree.records();
    for line in PRINTING {
        // The status is that of a process that SIGPIPE has killed.
        assert_eq!(
            tree.with_closed_output(line),
            (141, String::new()),
            "{line}"
        );
        let errors = "remapctl: cannot write the output: No space left on device\n";
        assert_eq!(
            tree.with_full_output(line),
            (3, String::from(errors)),
            "{line}"
        );
    }
    for line in ["metrics -o /dev/full", "stress report --html -o /dev/full"] {
        let errors = tree.complains(line, 3);
        assert!(
            errors.contains("/dev/full: No space left"),
            "{line}: {errors}"
        );
    }
    // A full standard error causes no panic either.
    for line in ["status none", "stress run quick", "nonsense"] {
        let mut command = tree.command(line);
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let status = command.stderr(full).output().unwrap().status.code();
        assert_ne!(status, Some(101), "{line}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_and_left_alone() {
    let tree = Tree::new("unwritable");
    fs::create_dir(tree.path("occupied")).unwrap();
    assert!(tree
        .complains("metrics -o occupied", 3)
        .contains("cannot write occupied"));
    assert!(tree
        .complains("metrics -o missing/file", 3)
        .contains("missing/file"));
    // A link to a file is not followed, and a dangling one neither.
    tree.write("target", "old");
    symlink("target", tree.path("link")).unwrap();
    symlink("nowhere", tree.path("dangling")).unwrap();
    for link in ["link", "dangling"] {
        let errors = tree.complains(&format!("metrics -o {link}"), 3);
        assert!(errors.contains(&format!("cannot write {link}")), "{errors}");
        let metadata = fs::symlink_metadata(tree.path(link)).unwrap();
        assert!(metadata.is_symlink());
    }
    assert_eq!(tree.read("target"), "old");
    assert!(!tree.path("nowhere").exists());
    assert_eq!(tree.hidden(), [""; 0]);
}

#[test]
fn what_is_no_plain_file_is_written_to() {
    let tree = Tree::new("streams");
    // A link to a pipe: standard output.
    let text = tree.prints("metrics -o /dev/stdout");
    assert!(text.contains("module_loaded 1"), "{text}");
    assert_eq!(tree.prints("metrics -o /dev/null"), "");
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode() {
    let tree = Tree::new("mode");
    let mode = |file: &str| {
        let metadata = fs::metadata(tree.path(file)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    tree.write("remap.prom", "old");
    fs::set_permissions(tree.path("remap.prom"), Permissions::from_mode(0o640)).unwrap();
    tree.prints("metrics -o remap.prom");
    assert_eq!(mode("remap.prom"), 0o640);
    // Other users have to be able to read a new file.
    tree.prints("metrics -o new.prom");
    tree.write("ordinary", "");
    assert_eq!(mode("new.prom"), mode("ordinary"));
    assert_eq!(tree.hidden(), [""; 0]);
}

#[test]
fn manual_and_completions_name_every_command() {
    let tree = Tree::without_module("manual");
    tree.prints("man -o man");
    for (page, part) in [
        ("remapctl.1", "Exit status"),
        ("remapctl-status.1", "MAJOR:MINOR"),
        ("remapctl-stress-run-custom.1", "rate"),
    ] {
        assert!(tree.read(&format!("man/{page}")).contains(part), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let text = tree.prints(&format!("completions {shell}"));
        for word in ["metrics", "high-concurrency", "queue-depth"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
        for hidden in ["mapper'", "-l mapper", "--mapper", "--sys", "DEVICES"] {
            assert!(!text.contains(hidden), "{shell}: {hidden}");
        }
        assert!(text.contains("remapctl devices"), "{shell}");
    }
}

#[test]
fn completions_offer_remap_devices() {
    let tree = Tree::new("completions");
    tree.mapped(1, "linear", "0 8 linear 7:0 0\n");
    tree.device(2, r"odd\x20name", STATUS);
    // A name with characters that shells interpret is replaced by the name of its node.
    let devices = tree.prints("devices");
    assert_eq!(devices, "bad\ndm-2\n");
    tree.write("completions", &tree.prints("completions bash"));
    for (line, wanted) in [
        ("status ", "bad dm-2"),
        ("status b", "bad"),
        ("list b", "bad"),
        ("stress target d", "dm-2"),
        ("stress run quick --device ", "bad dm-2"),
    ] {
        let script = format!(
            "remapctl() {{ [[ $* == devices ]] && printf 'bad\\ndm-2\\n'; }}
             . ./completions
             COMP_WORDS=(remapctl {line}); [[ '{line}' != *' ' ]] || COMP_WORDS+=('')
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             _remapctl remapctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
             for word in \"${{COMPREPLY[@]}}\"; do [[ $word == -* ]] || printf '%s ' \"$word\"; done"
        );
        let mut bash = Command::new("bash");
        let output = bash.args(["-c", &script]).current_dir(&tree.root).output();
        let offered = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(offered.trim_end(), wanted, "{line}");
    }
}
