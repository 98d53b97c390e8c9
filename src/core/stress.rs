// SPDX-License-Identifier: GPL-2.0

//! Tests of the stress manager: requests, workloads, measurements and verdicts.
//!
//! * [`request`]: the texts that users write; [`stress_test`]: tests; [`name`]: names of devices,
//! * [`workload`] and [`production`]: the I/O of workers; [`generator`] and [`pace`]: its single operations,
//! * [`histogram`], [`trend`] and [`measurement`]: results; [`delays`]: times that bios wait for the target,
//! * [`verdict`]: comparison with targets; [`regression`]: comparison with a baseline; [`figure`]: figures with
//!   units,
//! * [`report`]: reports for users; [`record`]: records for programs.

pub mod delays;
pub mod figure;
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
