// SPDX-License-Identifier: GPL-2.0

//! Tests of the stress manager: requests, workloads, measurements and verdicts.
//!
//! * [`request`] reads what users write, [`stress_test`] is a test, [`name`] a device,
//! * [`workload`] and [`production`] say what workers do, [`generator`] and [`pace`] do it step by step,
//! * [`histogram`], [`trend`] and [`measurement`] hold what was measured,
//! * [`verdict`] judges it against targets, [`regression`] against a baseline,
//! * [`report`] and [`record`] are for readers, of texts and of programs.

pub mod generator;
pub mod histogram;
pub mod measurement;
pub mod name;
pub mod pace;
pub mod production;
pub mod record;
pub mod regression;
pub mod report;
pub mod request;
pub mod stress_test;
pub mod trend;
pub mod verdict;
pub mod workload;
