//! What stands in Redis, and its replies.

use sgd_lib::codec::{blob, decode_add, decode_to};
use sgd_lib::fuzzing;

/// Runs of rows: of values enough for wide registers and a rest, of single values, of none.
const ROWS: [(usize, usize); 4] = [(5, 19), (3, 1), (2, 0), (1, 40)];
const VALUES: usize = 5 * 19 + 3 + 40;

/// A payload as it comes.
pub(crate) fn frame(bytes: &[u8]) -> bool {
    delta(bytes) | blob::unpack(bytes, VALUES).is_ok()
}

pub(crate) fn f32(bytes: &[u8]) -> bool {
    framed(1, bytes)
}

pub(crate) fn f16(bytes: &[u8]) -> bool {
    framed(2, bytes)
}

pub(crate) fn int8(bytes: &[u8]) -> bool {
    framed(3, bytes)
}

pub(crate) fn top_k(bytes: &[u8]) -> bool {
    framed(4, bytes)
}

/// A snapshot's or a model's parameters.
pub(crate) fn parameters(bytes: &[u8]) -> bool {
    let length = bytes.len() / 4;
    let framed = wrap(*b"DPPV", 1, 0, length, bytes);
    blob::unpack(&framed, length).is_ok_and(|values| {
        assert!(values.len() == length && values.iter().all(|value| value.is_finite()));
        assert_eq!(blob::pack(&values), framed);
        true
    })
}

/// The first byte's lowest bit says whether there is a bitmap of rows.
fn framed(codec: u8, bytes: &[u8]) -> bool {
    let Some((first, content)) = bytes.split_first() else { return false };
    delta(&wrap(*b"DPDL", codec, first % 2, VALUES, content))
}

/// Header and checksum as they have to be.
fn wrap(magic: [u8; 4], codec: u8, flags: u8, values: usize, content: &[u8]) -> Vec<u8> {
    let mut frame = [&magic[..], &[1, codec, flags, 0]].concat();
    frame.extend((values as u64).to_le_bytes());
    frame.extend((content.len() as u64).to_le_bytes());
    frame.extend(content);
    frame.extend(crc32fast::hash(&frame).to_le_bytes());
    frame
}

/// A delta is added as a whole, and finite, or not at all; and both ways to decode it agree.
fn delta(payload: &[u8]) -> bool {
    let (mut sum, mut alone) = ([0.5; VALUES], [0.5; VALUES]);
    let added = decode_add(payload, &ROWS, &mut sum);
    assert_eq!(decode_to(payload, &ROWS, &mut alone).is_ok(), added.is_ok());
    match &added {
        Ok(()) => {
            assert!(sum.iter().chain(&alone).all(|value| value.is_finite()));
            assert!(sum.iter().zip(alone).all(|(sum, alone)| *sum == 0.5 + alone));
        }
        Err(_) => assert!(sum.iter().chain(&alone).all(|value| *value == 0.5)),
    }
    added.is_ok()
}

/// Typed state; the first byte chooses the type.
pub(crate) fn state(bytes: &[u8]) -> bool {
    bytes.split_first().is_some_and(|(number, bytes)| fuzzing::state(*number, bytes))
}

/// A reply as such.
pub(crate) fn reply(bytes: &[u8]) -> bool {
    fuzzing::reply(bytes)
}

/// A reply about a run.
pub(crate) fn log_reply(bytes: &[u8]) -> bool {
    fuzzing::log_reply(bytes)
}
