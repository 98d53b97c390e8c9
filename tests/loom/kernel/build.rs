// SPDX-License-Identifier: GPL-2.0

//! Compiles src/linux/helpers/gate.c as it is, where the kernel's macros are those of c/kernel.h.

use std::{env, fs, path::Path, process::Command};

fn run(command: &mut Command) {
    let status = command.status().expect("a compiler is there");
    assert!(status.success(), "{command:?} fails");
}

fn main() {
    let source = Path::new("../../../src/linux/helpers/gate.c");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=c/kernel.h");
    println!("cargo:rerun-if-changed={}", source.display());

    let out = env::var("OUT_DIR").expect("cargo has set it");
    let out = Path::new(&out);
    let text = fs::read_to_string(source).expect("the source is there");
    // What these headers have is in c/kernel.h.
    for line in text.lines() {
        let name = line
            .strip_prefix("#include <")
            .and_then(|rest| rest.strip_suffix('>'));
        if let Some(name) = name {
            let header = out.join("include").join(name);
            fs::create_dir_all(header.parent().expect("it is below")).expect("it can be made");
            fs::write(header, "").expect("it can be written");
        }
    }
    let object = out.join("gate.o");
    run(Command::new("gcc")
        .args([
            "-O2",
            "-Wall",
            "-Werror",
            "-c",
            "-include",
            "c/kernel.h",
            "-I",
        ])
        .arg(out.join("include"))
        .arg(source)
        .arg("-o")
        .arg(&object));
    run(Command::new("ar")
        .arg("crs")
        .arg(out.join("libgate.a"))
        .arg(&object));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static=gate");
}
