//! Everything together, as people use it. One program, so that it is linked once and scenarios of different
//! files run side by side.
//!
//! Nothing here is said about how long things take: that is for benchmarks.
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise, too")]

mod combinations;
mod data_from_the_store;
mod deaths;
mod deliveries;
mod doctor;
mod elastic;
mod elsewhere;
mod encrypted;
mod endings;
mod engines;
mod full_disk;
mod grid;
mod kubernetes;
mod nodes;
mod outages;
mod passwords;
mod refusals;
mod reproducible;
mod size;
mod time_limits;
mod whole_run;
