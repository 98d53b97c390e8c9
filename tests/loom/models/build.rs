// SPDX-License-Identifier: GPL-2.0

//! Takes the plain code where the module has instructions of its own for the processor.

fn main() {
    println!("cargo:rustc-cfg=CONFIG_UML");
    println!("cargo:rerun-if-changed=build.rs");
}
