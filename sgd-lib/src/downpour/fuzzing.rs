//! Every type of value that a store holds, from bytes.

use serde::{Serialize, de::DeserializeOwned};

use super::nodes::Nodes;
use super::relief::Relief;
use super::{Carried, Event, NodeRecord, RunConfig, WorkerRecord};
use crate::dataset::Manifest;
use crate::state::{decode, encode};
use crate::store::{Cursors, Vector};

/// How many types there are.
pub const STATES: u8 = 10;

/// Whether `bytes` are a value of the type of this number. What comes out has to survive being written and read.
pub fn state(number: u8, bytes: &[u8]) -> bool {
    match number % STATES {
        0 => again::<WorkerRecord>(bytes).is_some(),
        1 => again::<NodeRecord>(bytes).is_some(),
        2 => again::<Event>(bytes).is_some(),
        3 => again::<Carried>(bytes).is_some(),
        4 => again::<Relief>(bytes).is_some(),
        5 => again::<Nodes>(bytes).is_some(),
        6 => again::<Cursors>(bytes).is_some(),
        7 => again::<Vector>(bytes).is_some(),
        8 => config(bytes),
        _ => manifest(bytes),
    }
}

#[expect(clippy::expect_used, reason = "that it fails is what is looked for")]
fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = decode("fuzzed", bytes).ok()?;
    let written = encode("fuzzed", &value).expect("what was read can be written");
    let value: T = decode("fuzzed", &written).expect("what was written can be read");
    // As bytes, since there may be NaNs in it.
    assert_eq!(encode("fuzzed", &value).ok(), Some(written));
    Some(value)
}

/// A configuration that may be trained has a size that can be told.
fn config(bytes: &[u8]) -> bool {
    let Some(config) = again::<RunConfig>(bytes) else { return false };
    let rows = config.architecture.rows();
    let parameters: usize = rows.iter().map(|(rows, length)| rows * length).sum();
    assert_eq!(parameters, config.architecture.parameter_count());
    config.validate().is_ok()
}

fn manifest(bytes: &[u8]) -> bool {
    again::<Manifest>(bytes).is_some_and(|manifest| manifest.check().is_ok())
}
