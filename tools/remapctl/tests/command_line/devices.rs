// SPDX-License-Identifier: GPL-2.0

//! Devices: their names, their status, and devices whose status is incomplete.

use std::fs;

use crate::{
    json, samples, stopped,
    tree::{
        Tree,
        STATUS, //
    },
};

#[test]
fn status_has_a_row_for_each_remap_device() {
    let tree = Tree::new("status");
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

/// Names of devices; a blank is a non-breaking one here, see [`Tree::command`].
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

    // The stress manager prints the backslash of the kernel's name as `\x5c`.
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

/// Makes a tree with one device of each kind whose status is incomplete, and one that is well.
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
    // A device that is removed after all devices were listed.
    tree.mapped(5, "gone", "");
    fs::remove_file(tree.path("mapper/gone/table")).unwrap();
    tree.mapped(6, "going", "0 16 remap 7:0 7:1 8 2000\n");
    fs::remove_dir_all(tree.path("mapper/going/status")).unwrap();
    // A device whose first target is of another type.
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

/// Odd devices, and a part of the complaint about each, in order. There are no other complaints.
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
