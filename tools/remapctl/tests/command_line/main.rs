// SPDX-License-Identifier: GPL-2.0

//! Runs `remapctl` on a tree of files that stands for sysfs, with recorded answers of device-mapper.

mod devices;
mod outputs;
mod tree;

use std::{
    fs,
    process::Command,
    thread,
    time::Duration, //
};

use serde_json::Value;

use tree::{
    Running,
    Tree, //
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
fn nothing_is_done_without_the_module() {
    let tree = Tree::without_module("no_module");
    for line in [
        "status",
        "list bad",
        "watch --count 1",
        "stress run quick",
        "stress stop",
        "stress adjust --workers 1",
        "stress target --none",
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
        "stress target",
        "stress target bad --none",
        "watch --interval 0",
        "nonsense",
    ] {
        assert!(!tree.complains(line, 2).is_empty(), "{line}");
    }
    assert_eq!(tree.asked("stress_test_start"), "");
}

#[test]
fn a_run_is_followed_to_its_end() {
    for (result, status) in [
        ("PASSED", 0),
        ("FAILED", 1),
        ("STOPPED_EARLY", 1),
        ("INVENTED_LATER", 1),
    ] {
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
fn the_device_of_tests_is_set_and_unset() {
    let tree = Tree::new("target");
    for name in ["bad", "/dev/mapper/bad", "dm-0", "253:0"] {
        tree.prints(&format!("stress target {name}"));
        assert_eq!(tree.asked("set_target"), "bad\n", "{name}");
    }
    tree.prints("stress target --none");
    assert_eq!(tree.asked("set_target"), "\n");
    assert!(tree
        .complains("stress target other", 3)
        .contains("no mapped device other"));
    assert!(tree
        .complains("stress run quick --device other", 3)
        .contains("no mapped device other"));
    assert_eq!(tree.asked("quick_validation"), "");
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

/// Returns the lines of the samples. Checks that each family has one TYPE, before its samples.
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
    // A reader that has the old file open still reads the old contents.
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
