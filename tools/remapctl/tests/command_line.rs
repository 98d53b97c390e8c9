// SPDX-License-Identifier: GPL-2.0

//! `remapctl` as a user meets it, on a tree of files that stands for sysfs and on recorded answers
//! of device-mapper.

mod tree;

use std::{
    fs,
    os::unix::fs::symlink,
    process::Command,
    thread,
    time::Duration, //
};

use serde_json::Value;

use tree::{
    Running,
    Tree,
    STATUS, //
};

const RUNNING: &str = "RUNNING device=bad type=4 workers=4 in_flight=128 elapsed_ms=1000 \
    duration_ms=2000 progress=50% ops=5000 iops=5000 mb_s=20 errors=0";

fn stopped(result: &str) -> String {
    RUNNING.replace("RUNNING", "STOPPED") + " result=" + result + "\n"
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn status_has_a_row_for_each_remap_device() {
    let tree = Tree::new("status");
    tree.device(1, "linear", "0 8 linear 7:0 0\n");
    tree.device(2, "a b", STATUS);
    let table = tree.prints("status");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    let words = |line: &str| {
        line.split_whitespace()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(lines[0])[..2], ["DEVICE", "SIZE"]);
    assert_eq!(words(lines[1])[0], "a\\x20b");
    let wanted = [
        "bad", "48.8", "MiB", "8", "KiB", "2", "125", "0", "0", "10", "20", "0", "ok", "none",
    ];
    assert_eq!(words(lines[2]), wanted);

    let json = json(&tree.prints("status --json"));
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(json[1]["device"], "bad");
    assert_eq!(json[1]["length"], 100_000);
    assert_eq!(json[1]["counters"]["writes"], 20);
}

#[test]
fn status_of_one_device_has_every_counter() {
    let tree = Tree::new("status_of_one");
    for name in ["bad", "/dev/mapper/bad", "dm-0", "253:0"] {
        let text = tree.prints(&format!("status {name}"));
        assert!(text.starts_with("bad (253:0): ok\n"), "{text}");
        assert!(text.contains("2 of 125 spare blocks"), "{text}");
        assert!(text.contains("\n  remapped_writes  2\n"), "{text}");
    }
    tree.device(1, "linear", "0 8 linear 7:0 0\n");
    assert!(tree
        .complains("status linear", 3)
        .contains("no remap device"));
    assert!(tree
        .complains("status none", 3)
        .contains("no mapped device none"));
}

#[test]
fn status_fails_for_a_device_that_is_not_well() {
    let tree = Tree::new("not_well");
    tree.device(
        1,
        "full",
        &STATUS.replace("2/125 0 0 16 ok", "125/125 0 0 16 spare_full"),
    );
    assert_eq!(tree.run("status").status, 1);
    assert_eq!(tree.run("status full").status, 1);
    assert_eq!(tree.run("status bad").status, 0);
    assert_eq!(tree.run("status --json").status, 1);
}

#[test]
fn list_follows_the_pages() {
    let tree = Tree::new("list");
    let text = tree.prints("list bad");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[1..],
        [
            vec!["80", "24"],
            vec!["96", "8", "lost"],
            vec!["2", "remapped", "blocks"]
        ]
    );
    let json = json(&tree.prints("list bad --json"));
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(json[1]["sector"], 96);
    assert_eq!(json[1]["spare_sector"], 8);
    assert_eq!(json[1]["flags"][0], "lost");
    tree.write("mapper/bad/list", "end");
    assert_eq!(tree.prints("list bad --json"), "[]\n");
}

#[test]
fn nothing_is_done_without_the_module() {
    let tree = Tree::without_module("no_module");
    for line in [
        "status",
        "list bad",
        "watch --count 1",
        "stress run quick",
        "stress stop",
        "stress adjust --workers 1",
        "stress report",
        "baseline show",
    ] {
        let errors = tree.complains(line, 3);
        assert!(
            errors.contains("dm_remap is not loaded"),
            "{line}: {errors}"
        );
    }
}

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    let tree = Tree::new("usage");
    for line in [
        "stress run type --type mixed --workers 33",
        "stress run quick --duration 30",
        "stress run custom --read 1 --random 0 --workers 32 --queue-depth 4096",
        "stress report --json --svg",
        "watch --interval 0",
        "nonsense",
    ] {
        assert!(!tree.complains(line, 2).is_empty(), "{line}");
    }
    assert_eq!(tree.asked("stress_test_start"), "");
}

#[test]
fn a_run_is_followed_to_its_end() {
    for (result, status) in [("PASSED", 0), ("FAILED", 1), ("STOPPED_EARLY", 1)] {
        let tree = Tree::new(&format!("run_{result}"));
        tree.stress("stress_test_status", RUNNING);
        let run = Running::start(tree.command("stress run quick --device bad --duration 2s"));
        tree.wait_for("quick_validation");
        assert_eq!(tree.asked("quick_validation"), "1 2000\n");
        assert_eq!(tree.asked("set_target"), "bad\n");
        thread::sleep(Duration::from_millis(300));
        tree.stress("stress_test_status", &stopped(result));
        let answer = run.end();
        assert_eq!(answer.status, status, "{}", answer.errors);
        assert!(
            answer.errors.contains(" 50 %  1.0 s of 2.0 s, 5k IOPS"),
            "{}",
            answer.errors
        );
        let wanted = format!("{result}  Mixed Workload (4) on bad, 1.0 s\n");
        assert!(answer.out.starts_with(&wanted), "{}", answer.out);
        for part in [
            "5000 operations",
            "min=1 avg=2 p50=3",
            "not met: Throughput >=",
            "not met: b",
        ] {
            assert!(answer.out.contains(part), "{part}: {}", answer.out);
        }
        assert_eq!(tree.asked("stress_test_stop"), "");
    }
}

#[test]
fn a_signal_stops_the_test_and_not_the_report() {
    for signal in ["INT", "TERM"] {
        let tree = Tree::new(&format!("signal_{signal}"));
        tree.stress("stress_test_status", RUNNING);
        let run = Running::start(tree.command("stress run quick"));
        tree.wait_for("quick_validation");
        let killed = Command::new("kill")
            .args(["-s", signal, &run.id()])
            .status();
        assert!(killed.unwrap().success());
        tree.wait_for("stress_test_stop");
        assert_eq!(tree.asked("stress_test_stop"), "1\n");
        tree.stress("stress_test_status", &stopped("STOPPED_EARLY"));
        let answer = run.end();
        assert_eq!(answer.status, 1, "{}", answer.errors);
        assert!(answer.out.starts_with("STOPPED_EARLY  "), "{}", answer.out);
    }
}

#[test]
fn what_the_kernel_lacks_is_told() {
    let tree = Tree::new("lacks");
    let errors = tree.complains("stress run endurance --hours 1", 3);
    assert!(errors.contains("has no endurance_test"), "{errors}");
    // Opening a directory for writing fails with EISDIR.
    fs::remove_file(tree.path("sys/kernel/dm_remap_stress_test/quick_validation")).unwrap();
    fs::create_dir(tree.path("sys/kernel/dm_remap_stress_test/quick_validation")).unwrap();
    let errors = tree.complains("stress run quick", 3);
    assert!(
        errors.contains("refused '1' for quick_validation: Is a directory"),
        "{errors}"
    );
    assert!(errors.contains("dmesg"), "{errors}");
}

#[test]
fn a_test_is_stopped_and_adjusted() {
    let tree = Tree::new("control");
    tree.prints("stress stop");
    assert_eq!(tree.asked("stress_test_stop"), "1\n");
    tree.prints("stress adjust --queue-depth 8 --write-percent 50");
    assert_eq!(
        tree.asked("stress_test_adjust"),
        "queue_depth=8 write_percent=50\n"
    );
}

#[test]
fn reports_come_in_four_forms() {
    let tree = Tree::new("reports");
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
    // Nothing else is left behind.
    let hidden = fs::read_dir(&tree.root).unwrap().flatten();
    assert!(
        hidden
            .filter(|entry| entry.file_name().to_string_lossy().starts_with('.'))
            .count()
            == 0
    );
}

#[test]
fn reports_need_a_test_and_the_records() {
    let tree = Tree::new("no_records");
    assert!(tree
        .complains("stress report --html", 3)
        .contains("debugfs"));
    tree.records();
    tree.write("sys/kernel/debug/dm_remap/stress/results.json", "{}\n");
    assert!(tree
        .complains("stress report --svg", 3)
        .contains("no test has run"));
    tree.write("sys/kernel/debug/dm_remap/stress/trend.json", "{\n");
    assert!(tree
        .complains("stress report --json", 3)
        .contains("trend.json"));
}

#[test]
fn watch_writes_a_line_for_each_look() {
    let tree = Tree::new("watch");
    tree.stress("stress_test_status", RUNNING);
    tree.records();
    let text = tree.prints("watch --interval 0.1 --count 3");
    assert_eq!(text.lines().count(), 3, "{text}");
    for line in text.lines() {
        for part in [
            "RUNNING bad 50 %, 5k IOPS",
            "added p50 96 ns p99 240 ns",
            "; bad ok 2/125",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    let watch = Running::start(tree.command("watch"));
    thread::sleep(Duration::from_millis(300));
    let killed = Command::new("kill")
        .args(["-s", "INT", &watch.id()])
        .status();
    assert!(killed.unwrap().success());
    assert_eq!(watch.end().status, 0);
}

#[test]
fn baselines_are_kept_in_files() {
    let tree = Tree::new("baseline");
    let line =
        "device=bad type=4 workers=16 queue_depth=512 latency_ns=104 bytes_per_second=409000000\n";
    assert!(tree.prints("baseline show").contains("no baseline"));
    tree.stress("baseline", line);
    let table = tree.prints("baseline show");
    let words: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(words, ["bad", "4", "16", "512", "104", "ns", "409", "MB/s"]);
    assert_eq!(
        json(&tree.prints("baseline show --json"))[0]["latency_ns"],
        104
    );
    assert_eq!(tree.prints("baseline save -"), line);
    tree.prints("baseline save kept");
    assert_eq!(tree.read("kept"), line);
    tree.stress("baseline", "none\n");
    tree.prints("baseline load kept");
    assert_eq!(tree.asked("baseline"), line);
    tree.write("none", "none\n");
    tree.prints("baseline load none");
    assert_eq!(tree.asked("baseline"), "none\n");
    tree.prints("baseline load kept");
    tree.write("other", "something else\n");
    assert!(tree
        .complains("baseline load other", 3)
        .contains("other holds no baselines"));
    assert_eq!(tree.asked("baseline"), line);
}

/// Every sample line, and that each has a TYPE before it, told once.
fn samples(text: &str) -> Vec<&str> {
    let mut typed: Vec<&str> = Vec::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(!typed.contains(&name), "{name} twice");
            typed.push(name);
        } else if !line.starts_with("# HELP ") {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(typed.last(), Some(&name), "{line}");
            samples.push(line);
        }
    }
    samples
}

#[test]
fn metrics_are_an_exposition() {
    let tree = Tree::new("metrics");
    tree.stress("stress_test_status", &stopped("FAILED"));
    let text = tree.prints("metrics");
    let samples = samples(&text);
    for wanted in [
        "dm_remap_module_loaded 1",
        "dm_remap_size_bytes{device=\"bad\",start=\"0\"} 51200000",
        "dm_remap_remapped_blocks{device=\"bad\",start=\"0\"} 2",
        "dm_remap_writes_total{device=\"bad\",start=\"0\"} 20",
        "dm_remap_health{device=\"bad\",start=\"0\",state=\"ok\"} 1",
        "dm_remap_health{device=\"bad\",start=\"0\",state=\"degraded\"} 0",
        "dm_remap_ios_total 30",
        "dm_remap_fast_path_hit_ratio 0.97",
        "dm_remap_remap_entries 2",
        "dm_remap_stress_running 0",
        "dm_remap_stress_bytes_per_second{device=\"bad\",type=\"4\"} 20000000",
        "dm_remap_stress_result{device=\"bad\",type=\"4\",result=\"FAILED\"} 1",
        "dm_remap_stress_result{device=\"bad\",type=\"4\",result=\"PASSED\"} 0",
    ] {
        assert!(samples.contains(&wanted), "{wanted}: {text}");
    }
    // Who has the old file open reads that to its end.
    tree.write("remap.prom", "old");
    fs::hard_link(tree.path("remap.prom"), tree.path("opened")).unwrap();
    assert_eq!(tree.prints("metrics -o remap.prom"), "");
    assert_eq!(tree.read("remap.prom"), text);
    assert_eq!(tree.read("opened"), "old");
}

#[test]
fn metrics_tell_that_the_module_is_missing() {
    let tree = Tree::without_module("metrics_no_module");
    assert_eq!(
        samples(&tree.prints("metrics")),
        ["dm_remap_module_loaded 0"]
    );
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
    // What is no plain file is written to and stays what it is: a link here, a device elsewhere.
    tree.write("target", "old");
    symlink("target", tree.path("link")).unwrap();
    tree.prints("metrics -o link");
    assert!(tree.read("target").contains("module_loaded 1"));
    assert!(fs::symlink_metadata(tree.path("link"))
        .unwrap()
        .is_symlink());
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
    }
}
