// SPDX-License-Identifier: GPL-2.0

//! `remapctl` as a user meets it, on a tree of files that stands for sysfs and on recorded answers
//! of device-mapper.

mod tree;

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
    // It fails where it is asked for its status.
    tree.mapped(1, "linear", "0 8 linear 7:0 0\n");
    tree.device(2, "a b", STATUS);
    let table = tree.prints("status");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    let words = |line: &str| {
        line.split_whitespace()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(lines[0])[..2], ["DEVICE", "MAIN"]);
    assert_eq!(words(lines[1])[0], "a\\x20b");
    let wanted = [
        "bad",
        "/dev/loop0",
        r"/dev/mapper/odd\x20spare",
        "48.8",
        "MiB",
        "8",
        "KiB",
        "2",
        "125",
        "0",
        "0",
        "10",
        "20",
        "0",
        "ok",
        "none",
    ];
    assert_eq!(words(lines[2]), wanted);

    let json = json(&tree.prints("status --json"));
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(json[1]["device"], "bad");
    assert_eq!(json[1]["length"], 100_000);
    assert_eq!(json[1]["counters"]["writes"], 20);
    assert_eq!(
        json[1]["main"],
        serde_json::json!({"path": "/dev/loop0", "number": "7:0", "start": 0})
    );
    assert_eq!(json[1]["spare"]["path"], r"/dev/mapper/odd\x20spare");
    assert_eq!(json[1]["spare"]["start"], 8);
    assert_eq!(json[1]["spare"]["length"], 2000);
    assert_eq!(json[1]["error_policy"], "relocate");
    assert_eq!(json[1].get("problem"), None);
}

#[test]
fn status_tells_where_main_and_spare_are() {
    let tree = Tree::new("places");
    let text = tree.prints("status bad");
    for part in [
        "\n  Main             /dev/loop0 (7:0), from sector 0\n",
        "\n  Spare            /dev/mapper/odd\\x20spare (7:1), sectors 8 to 2007\n",
        "\n  Error policy     relocate\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let table = "0 100000 remap 8:1 7:1 8 2000 6 main_start 1000 volatile error_policy record x\n";
    tree.write("mapper/bad/table", table);
    let text = tree.prints("status bad");
    for part in [
        "\n  Main             8:1, from sector 1000\n",
        "\n  Error policy     record\n",
        "\n  Options          main_start 1000 volatile error_policy record x\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    tree.write("sys/block/dm-0/dm/suspended", "1\n");
    assert!(tree
        .prints("status bad")
        .starts_with("bad (253:0): ok, suspended\n"));
}

/// Names as a command line has them, see [`Tree::command`].
const ODD_NAMES: [&str; 4] = [
    "odd\u{a0}name",
    r"odd\x20name",
    r"/dev/mapper/odd\x20name",
    "dm-1",
];

#[test]
fn names_are_taken_as_the_user_and_as_the_kernel_has_them() {
    let tree = Tree::new("names");
    tree.device(1, r"odd\x20name", STATUS);
    tree.device(2, r"back\x5cslash", STATUS);
    tree.write(r"mapper/odd\x20name/list", "end");
    for name in ODD_NAMES {
        let text = tree.prints(&format!("status {name}"));
        assert!(text.starts_with("odd name (253:1): ok\n"), "{name}: {text}");
        assert_eq!(
            tree.prints(&format!("list --json {name}")),
            "[]\n",
            "{name}"
        );
        tree.prints(&format!("stress target {name}"));
        assert_eq!(tree.asked("set_target"), "odd\\x20name\n", "{name}");
    }
    assert!(tree
        .prints(r"status back\slash")
        .starts_with(r"back\slash (253:2)"));

    let table = tree.prints("status");
    let names: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["DEVICE", r"back\x5cslash", "bad", r"odd\x20name"]);
    let json = json(&tree.prints("status --json"));
    assert_eq!(json[0]["device"], r"back\slash");
    assert_eq!(json[2]["device"], "odd name");
    assert_eq!(json[2]["kernel_name"], r"odd\x20name");

    // The stress manager prints the kernel's name in a way of its own.
    tree.stress(
        "stress_test_status",
        &stopped("PASSED").replace("=bad", r"=odd\x5cx20name"),
    );
    let text = tree.prints("metrics");
    for wanted in [
        "dm_remap_writes_total{device=\"odd name\",start=\"0\"} 20",
        "dm_remap_writes_total{device=\"back\\\\slash\",start=\"0\"} 20",
        "dm_remap_stress_errors{device=\"odd name\",type=\"4\"} 0",
    ] {
        assert!(samples(&text).contains(&wanted), "{wanted}: {text}");
    }
}

/// A tree with one device of each kind that cannot be told all about, and one that is well.
fn odd_devices(test: &str) -> Tree {
    let tree = Tree::new(test);
    tree.device(
        1,
        "newer",
        "0 16 remap 0/1 0 0 8 ok ok reads=1 mood=cheerful\n",
    );
    tree.mapped(2, "silent", "0 16 remap 7:0 7:1 8 2000\n");
    tree.mapped(3, "waiting", "");
    tree.write("mapper/waiting/inactive", "0 16 remap 7:0 7:1 8 2000\n");
    tree.mapped(4, "empty", "");
    // It goes between the look at all devices and the look at this one.
    tree.mapped(5, "gone", "");
    fs::remove_file(tree.path("mapper/gone/table")).unwrap();
    tree.mapped(6, "going", "0 16 remap 7:0 7:1 8 2000\n");
    fs::remove_dir_all(tree.path("mapper/going/status")).unwrap();
    // Its first target is another one's.
    let mixed = "0 8 linear 7:0 0\n8 16 remap 7:0 7:1 8 2000\n24 8 remap 7:0 7:1 2008\n";
    tree.mapped(7, "mixed", mixed);
    fs::remove_dir_all(tree.path("mapper/mixed/status")).unwrap();
    tree.write(
        "mapper/mixed/status",
        "0 8 linear \n8 16 remap 5/9 0 0 8 ok none\n24 8 remap 0/9 0 0 8 ok none\n",
    );
    tree.mapped(8, "refusing", "");
    fs::remove_file(tree.path("mapper/refusing/table")).unwrap();
    fs::create_dir(tree.path("mapper/refusing/table")).unwrap();
    tree
}

/// How each odd device is complained about, in order; all others are not.
const COMPLAINTS: [(&str, &str); 5] = [
    ("refusing", "Is a directory"),
    ("mixed: ", "cannot make sense of the table: '7:0 7:1 2008'"),
    (
        "newer: ",
        "cannot make sense of the status: '0/1 0 0 8 ok ok reads=1 mood=cheerful'",
    ),
    ("silent: ", "Is a directory"),
    ("waiting: ", "not active: dmsetup resume"),
];

fn expect_complaints(errors: &str) {
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), COMPLAINTS.len(), "{errors}");
    for (line, (device, problem)) in lines.iter().zip(COMPLAINTS) {
        assert!(line.starts_with("remapctl: "), "{line}");
        assert!(line.contains(device) && line.contains(problem), "{line}");
    }
}

#[test]
fn one_odd_device_hides_no_other() {
    let tree = odd_devices("odd_status");
    let answer = tree.run("status");
    assert_eq!(answer.status, 1, "{}", answer.errors);
    expect_complaints(&answer.errors);
    let rows: Vec<Vec<&str>> = answer
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let wanted = [
        "DEVICE", "bad", "mixed", "mixed", "newer", "silent", "waiting",
    ];
    assert_eq!(names, wanted, "{}", answer.out);
    assert_eq!(rows[2][6..9], ["KiB", "5", "9"], "{}", answer.out);
    assert_eq!(rows[3][1..3], ["-", "-"], "{}", answer.out);
    for row in &rows[4..] {
        assert_eq!(row[1], "/dev/loop0", "{}", answer.out);
        assert_eq!(row[row.len() - 2..], ["unknown", "-"], "{}", answer.out);
    }

    let answer = tree.run("status --json");
    assert_eq!(answer.status, 1);
    let told = json(&answer.out);
    assert_eq!(told.as_array().unwrap().len(), 6);
    assert_eq!(
        (&told[1]["device"], &told[1]["start"]),
        (&json("\"mixed\""), &json("8"))
    );
    assert_eq!(told[3]["main"]["path"], "/dev/loop0");
    assert_eq!(told[3].get("remapped"), None);
    assert!(told[3]["problem"].as_str().unwrap().contains("mood"));

    let answer = tree.run("status newer");
    assert_eq!(answer.status, 1);
    assert!(
        answer.out.starts_with("newer (253:1): unknown\n"),
        "{}",
        answer.out
    );
    assert!(answer.errors.contains("mood=cheerful"), "{}", answer.errors);
    assert_eq!(tree.run("status bad").status, 0);
    for name in ["gone", "going", "empty"] {
        assert!(tree.complains(&format!("status {name}"), 3).contains(name));
    }
}

#[test]
fn metrics_and_watch_have_the_other_devices() {
    let tree = odd_devices("odd_metrics");
    let answer = tree.run("metrics -o remap.prom");
    assert_eq!((answer.status, &*answer.out), (1, ""));
    expect_complaints(&answer.errors);
    let text = tree.read("remap.prom");
    let samples = samples(&text);
    for wanted in [
        "dm_remap_writes_total{device=\"bad\",start=\"0\"} 20",
        "dm_remap_remapped_blocks{device=\"mixed\",start=\"8\"} 5",
        "dm_remap_size_bytes{device=\"newer\",start=\"0\"} 8192",
        "dm_remap_status_known{device=\"bad\",start=\"0\"} 1",
        "dm_remap_status_known{device=\"newer\",start=\"0\"} 0",
        "dm_remap_stress_running 0",
    ] {
        assert!(samples.contains(&wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("remapped_blocks{device=\"newer\""), "{text}");

    let answer = tree.run("watch --interval 0.1 --count 3");
    assert_eq!(answer.status, 1);
    expect_complaints(&answer.errors);
    assert_eq!(answer.out.lines().count(), 3);
    for line in answer.out.lines() {
        assert!(line.contains("; bad ok 2/125; mixed ok 5/9; "), "{line}");
        assert!(line.contains("; newer unknown; "), "{line}");
    }

    tree.stress("stress_test_status", "PAUSED device=bad\n");
    tree.write("sys/module/dm_remap/optimization/remap_entries", "many\n");
    let answer = tree.run("metrics");
    assert_eq!(answer.status, 1);
    assert!(answer.errors.contains("PAUSED"), "{}", answer.errors);
    assert!(answer.errors.contains("remap_entries"), "{}", answer.errors);
    assert!(answer.out.contains("dm_remap_writes_total{device=\"bad\""));
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
    tree.mapped(1, "linear", "0 8 linear 7:0 0\n");
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
    // Nothing else is left behind.
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

/// Every command that prints.
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
        // As if SIGPIPE had ended it.
        assert_eq!(tree.into_closed(line), (141, String::new()), "{line}");
        let errors = "remapctl: cannot write the output: No space left on device\n";
        assert_eq!(tree.into_full(line), (3, String::from(errors)), "{line}");
    }
    for line in ["metrics -o /dev/full", "stress report --html -o /dev/full"] {
        let errors = tree.complains(line, 3);
        assert!(
            errors.contains("/dev/full: No space left"),
            "{line}: {errors}"
        );
    }
    // Where nothing can be said either.
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
    // Not even where it leads to nothing, or nowhere.
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
    // A link to the pipe that standard output is.
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
    // Somebody else has to read it.
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
    }
}
