//! Every codec against deltas and payloads of all kinds, well-formed and not.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use proptest::collection::vec;
use proptest::prelude::*;
use sgd_lib::codec::{Codec, CodecError, Encoder, blob, decode_add};

/// Runs of rows with odd lengths, an empty run among them.
const ROWS: [(usize, usize); 4] = [(9, 3), (5, 0), (3, 70), (1, 1)];
const PARAMETERS: usize = 27 + 210 + 1;
const HEADER: usize = 24;

fn encode(codec: Codec, delta: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let (mut payload, mut decoded) = (vec![0xaa; 7], vec![f32::NAN; delta.len()]);
    Encoder::new(codec, &ROWS).encode(delta, &mut decoded, &mut payload).unwrap();
    (payload, decoded)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Puts the checksum right again after a change, so that the checks behind it are reached.
fn seal(payload: &mut [u8]) {
    let end = payload.len() - 4;
    let checksum = crc32fast::hash(&payload[..end]);
    payload[end..].copy_from_slice(&checksum.to_le_bytes());
}

/// Decodes into a sum that must stay as it was on an error.
fn refused(payload: &[u8]) -> CodecError {
    let mut sum = vec![1.5; PARAMETERS];
    let error = decode_add(payload, &ROWS, &mut sum).unwrap_err();
    assert!(sum.iter().all(|&value| value == 1.5), "the sum changed: {error}");
    error
}

fn finite() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -1.0_f32..1.0,
        1 => any::<f32>().prop_filter("finite", |value| value.is_finite()),
        1 => Just(0.0_f32),
        1 => Just(-0.0_f32),
    ]
}

/// Deltas in which about a third of the rows are all zero.
fn deltas() -> impl Strategy<Value = Vec<f32>> {
    (vec(finite(), PARAMETERS), vec(0..3, 13)).prop_map(|(mut delta, blank)| {
        for (row, _) in blank.iter().enumerate().filter(|(_, blank)| **blank == 0) {
            delta[range(row)].fill(0.0);
        }
        delta
    })
}

fn range(row: usize) -> std::ops::Range<usize> {
    match row {
        0..9 => row * 3..row * 3 + 3,
        9..12 => 27 + (row - 9) * 70..27 + (row - 8) * 70,
        _ => 237..238,
    }
}

fn codecs() -> impl Strategy<Value = Codec> {
    proptest::sample::select(Codec::ALL.to_vec())
}

proptest! {
    #[test]
    fn decoded_is_what_the_receiver_adds(codec in codecs(), delta in deltas()) {
        let (payload, decoded) = encode(codec, &delta);
        // One byte further on: alignment must not matter.
        let shifted = [&[0], payload.as_slice()].concat();
        for payload in [&payload[..], &shifted[1..]] {
            let mut sum = vec![0.0; PARAMETERS];
            decode_add(payload, &ROWS, &mut sum).unwrap();
            prop_assert_eq!(bits(&sum), bits(&decoded));
        }
    }

    #[test]
    fn f32_is_exact(delta in deltas()) {
        prop_assert_eq!(encode(Codec::F32, &delta).1, delta);
    }

    #[test]
    fn f16_is_within_half_a_unit_in_the_last_place(delta in deltas()) {
        for (value, decoded) in delta.iter().zip(encode(Codec::F16, &delta).1) {
            let clamped = value.clamp(-65_504.0, 65_504.0);
            let bound = (clamped.abs() / 2048.0).max(f32::powi(2.0, -25));
            prop_assert!((clamped - decoded).abs() <= bound, "{} became {}", value, decoded);
        }
    }

    #[test]
    fn int8_is_within_half_of_the_rows_scale(delta in deltas()) {
        let decoded = encode(Codec::Int8, &delta).1;
        for row in 0..13 {
            let largest = delta[range(row)].iter().fold(0.0_f64, |m, &x| m.max(f64::from(x.abs())));
            // The last 1/128 of the range of f32 saturates.
            let scale = (largest / 127.0).clamp(f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX / 128.0));
            for index in range(row) {
                let wanted = f64::from(delta[index]).clamp(-127.0 * scale, 127.0 * scale);
                let error = (wanted - f64::from(decoded[index])).abs();
                prop_assert!(error <= scale * 0.50003, "{} became {}", wanted, decoded[index]);
            }
        }
    }

    #[test]
    fn top_k_sends_the_largest_values_of_each_run(delta in deltas()) {
        let decoded = encode(Codec::TopK, &delta).1;
        for run in [0..27, 27..237, 237..238] {
            let magnitudes = |values: &[f32]| values.iter().map(|value| value.abs()).collect::<Vec<_>>();
            let (run, decoded) = (magnitudes(&delta[run.clone()]), magnitudes(&decoded[run]));
            let largest = run.iter().copied().fold(0.0, f32::max);
            let scale = (largest / 127.0).clamp(f32::MIN_POSITIVE, f32::MAX / 128.0);
            let sent = |index: &usize| decoded[*index] > 0.0;
            let least = (0..run.len()).filter(sent).map(|index| run[index]).fold(f32::INFINITY, f32::min);
            for index in 0..run.len() {
                if sent(&index) {
                    prop_assert!((run[index].min(127.0 * scale) - decoded[index]).abs() <= scale * 0.50003);
                } else {
                    prop_assert!(run[index] <= least.max(scale), "{} stays, {} goes", run[index], least);
                }
            }
            prop_assert!(largest < f32::MIN_POSITIVE || (0..run.len()).any(|index| sent(&index)));
        }
    }

    #[test]
    fn top_k_sends_everything_in_the_end(delta in vec(-1.0_f32..1.0, PARAMETERS)) {
        let mut encoder = Encoder::new(Codec::TopK, &ROWS);
        let (mut residue, mut received) = (delta.clone(), vec![0.0; PARAMETERS]);
        let (mut payload, mut decoded) = (Vec::new(), vec![0.0; PARAMETERS]);
        for _ in 0..300 {
            encoder.encode(&residue, &mut decoded, &mut payload).unwrap();
            decode_add(&payload, &ROWS, &mut received).unwrap();
            for (residue, decoded) in residue.iter_mut().zip(&decoded) {
                *residue -= decoded;
            }
        }
        for (received, delta) in received.iter().zip(&delta) {
            prop_assert!((received - delta).abs() < 0.01, "{} of {}", received, delta);
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..400), codec in 0..6_u8, bitmap in 0..2_u8) {
        let mut sum = vec![0.0; PARAMETERS];
        let _ = decode_add(&bytes, &ROWS, &mut sum);
        let _ = blob::unpack(&bytes, PARAMETERS);
        if bytes.len() >= HEADER + 4 {
            // Past the header's checks, so that rows of random bytes are read.
            bytes[..8].copy_from_slice(&[b'D', b'P', b'D', b'L', 1, codec, bitmap, 0]);
            bytes[8..16].copy_from_slice(&(PARAMETERS as u64).to_le_bytes());
            let length = (bytes.len() - HEADER - 4) as u64;
            bytes[16..24].copy_from_slice(&length.to_le_bytes());
            seal(&mut bytes);
            let _ = decode_add(&bytes, &ROWS, &mut sum);
            prop_assert!(sum.iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed(
        codec in codecs(),
        delta in deltas(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut payload = encode(codec, &delta).0;
        let index = at.index(payload.len());
        payload[index] ^= 1u8 << bit;
        refused(&payload);
    }

    #[test]
    fn nan_and_infinity_are_named(codec in codecs(), delta in deltas(), index in 0..PARAMETERS) {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut delta = delta.clone();
            delta[index] = bad;
            let (mut payload, mut decoded) = (vec![7], vec![3.0; PARAMETERS]);
            let error = Encoder::new(codec, &ROWS).encode(&delta, &mut decoded, &mut payload).unwrap_err();
            let named = matches!(error, CodecError::NotFinite { index: found, .. } if found == index);
            prop_assert!(named, "{}", error);
            prop_assert!(payload == [7] && decoded.iter().all(|&value| value == 3.0));
        }
    }
}

#[test]
fn an_encoder_can_be_used_again() {
    let mut encoder = Encoder::new(Codec::Int8, &ROWS);
    let (mut payload, mut decoded) = (Vec::new(), vec![0.0; PARAMETERS]);
    encoder.encode(&[1.0; PARAMETERS], &mut decoded, &mut payload).unwrap();
    encoder.encode(&[0.0; PARAMETERS], &mut decoded, &mut payload).unwrap();
    assert_eq!(payload, encode(Codec::Int8, &[0.0; PARAMETERS]).0);
    assert!(decoded.iter().all(|&value| value == 0.0));
}

#[test]
fn top_k_is_compact() {
    let rows = [(785, 100), (101, 47)];
    let parameters = 785 * 100 + 101 * 47;
    // No two absolute values are equal.
    let value = |index: usize| {
        (index * 48_271 % 83_267 + 1) as f32 * if index.is_multiple_of(2) { 1e-7 } else { -1e-7 }
    };
    let delta: Vec<f32> = (0..parameters).map(value).collect();
    let (mut payload, mut decoded) = (Vec::new(), vec![0.0; parameters]);
    Encoder::new(Codec::TopK, &rows).encode(&delta, &mut decoded, &mut payload).unwrap();
    let sent = decoded.iter().filter(|value| **value != 0.0).count();
    assert!((parameters / 60..parameters / 40).contains(&sent), "{sent} of {parameters}");
    assert!(payload.len() < HEADER + 4 + 16 + 3 * sent, "{} bytes for {sent} values", payload.len());
}

#[test]
fn top_k_leaves_out_more_than_a_byte_counts() {
    let rows = [(4, 255)];
    for (first, second) in [(0, 1), (0, 255), (0, 256), (254, 510), (255, 765), (1018, 1019), (0, 1019)] {
        let mut delta = vec![0.0; 1020];
        (delta[first], delta[second]) = (1.0, -1.0);
        let (mut payload, mut decoded, mut sum) = (Vec::new(), vec![0.0; 1020], vec![0.0; 1020]);
        Encoder::new(Codec::TopK, &rows).encode(&delta, &mut decoded, &mut payload).unwrap();
        decode_add(&payload, &rows, &mut sum).unwrap();
        assert_eq!(bits(&sum), bits(&decoded));
        for index in [first, second] {
            assert!((sum[index] - delta[index]).abs() < 1e-6, "{index}: {}", sum[index]);
        }
        assert_eq!(sum.iter().filter(|value| **value != 0.0).count(), 2);
    }
}

#[test]
fn top_k_that_no_encoder_writes_is_refused() {
    // Runs of 27, 210 and 1 values.
    let refusal = |content: &[u8]| {
        let mut payload = encode(Codec::TopK, &[0.0; PARAMETERS]).0;
        payload.splice(HEADER..payload.len() - 4, content.iter().copied());
        payload[16..24].copy_from_slice(&(content.len() as u64).to_le_bytes());
        seal(&mut payload);
        refused(&payload).to_string()
    };
    let (one, none) = (1_f32.to_le_bytes(), [0; 4]);
    let run = |count: u32, scale: &[u8], rest: &[u8]| [&count.to_le_bytes(), scale, rest].concat();
    assert_eq!(refusal(&[]), "0 bytes of content; 4 are wanted");
    assert_eq!(
        refusal(&[run(1, &one, &[27, 1]), none.into(), none.into()].concat()),
        "a value at 27 of a run of rows with 27 values"
    );
    assert_eq!(refusal(&run(u32::MAX, &one, &[0; 40])), "a value at 27 of a run of rows with 27 values");
    assert_eq!(refusal(&run(2, &one, &[0, 0, 5])), "11 bytes of content; 12 are wanted");
    assert_eq!(
        refusal(&[run(0, &[], &[]), none.into(), none.into(), vec![9]].concat()),
        "13 bytes of content; 12 are wanted"
    );
    let nan = f32::NAN.to_le_bytes();
    let error = refusal(&[none.into(), run(1, &nan, &[0, 5]), none.into()].concat());
    assert_eq!(error, "the scale of row 9 is NaN; it must be positive and at most 2.7e36");
    let mut payload = encode(Codec::TopK, &[1.0; PARAMETERS]).0;
    payload[6] = 1;
    seal(&mut payload);
    assert_eq!(refused(&payload), CodecError::Flags { found: 1 });
}

#[test]
fn blank_rows_take_no_space() {
    let mut delta = [0.0; PARAMETERS];
    delta[range(10)][5] = 0.25;
    for (codec, row_bytes) in [(Codec::F32, 280), (Codec::F16, 140), (Codec::Int8, 74)] {
        assert_eq!(encode(codec, &[-0.0; PARAMETERS]).0.len(), HEADER + 2 + 4, "{codec}");
        assert_eq!(encode(codec, &delta).0.len(), HEADER + 2 + row_bytes + 4, "{codec}");
    }
    assert_eq!(encode(Codec::F32, &[1.0; PARAMETERS]).0.len(), HEADER + 4 * PARAMETERS + 4, "no bitmap");
}

#[test]
fn golden_bytes() {
    type Golden = (Codec, [f32; 5], [u8; HEADER], &'static [u8]);
    let header = |codec: u8, bitmap: u8, length: u8| {
        [b'D', b'P', b'D', b'L', 1, codec, bitmap, 0, 5, 0, 0, 0, 0, 0, 0, 0, length, 0, 0, 0, 0, 0, 0, 0]
    };
    let golden: [Golden; 5] = [
        (
            Codec::F32,
            [1.0, -2.0, 0.5, 0.0, 3.0],
            header(1, 0, 20),
            b"\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f\0\0\0\0\0\0\x40\x40",
        ),
        (Codec::F32, [0.0, 0.0, 0.5, 0.0, 0.0], header(1, 1, 9), b"\x02\0\0\0\x3f\0\0\0\0"),
        (Codec::F16, [1.0, -2.0, 0.0, 0.0, 1e9], header(2, 1, 7), b"\x05\0\x3c\0\xc0\xff\x7b"),
        (
            Codec::Int8,
            [127.0, -2.0, 0.0, 0.0, 63.5],
            header(3, 1, 12),
            b"\x05\0\0\x80\x3f\x7f\xfe\0\0\0\x3f\x7f",
        ),
        (
            Codec::TopK,
            [2.0, -127.0, 0.0, 0.0, 63.5],
            header(4, 0, 20),
            b"\x01\0\0\0\0\0\x80\x3f\x01\x81\x01\0\0\0\0\0\0\x3f\0\x7f",
        ),
    ];
    for (codec, delta, header, content) in golden {
        let (mut payload, mut decoded) = (Vec::new(), [0.0; 5]);
        Encoder::new(codec, &[(2, 2), (1, 1)]).encode(&delta, &mut decoded, &mut payload).unwrap();
        let wanted = [&header, content].concat();
        let (framed, checksum) = payload.split_at(payload.len() - 4);
        assert_eq!(framed, wanted, "{codec} {delta:?}");
        assert_eq!(checksum, crc32fast::hash(&wanted).to_le_bytes());
    }
}

#[test]
fn extremes_keep_their_meaning() {
    let extremes = [f32::MAX, f32::MIN, 1e-45, -1e-45, f32::MIN_POSITIVE, 65_519.0, 65_520.0, 6e-8, -5e-8];
    let mut delta = [0.0; PARAMETERS];
    delta[..extremes.len()].copy_from_slice(&extremes);
    let smallest = f32::powi(2.0, -24);
    let half = encode(Codec::F16, &delta).1;
    assert_eq!(half[..5], [65_504.0, -65_504.0, 0.0, 0.0, 0.0]);
    assert_eq!(half[5..9], [65_504.0, 65_504.0, smallest, -smallest]);
    for (index, value) in extremes.into_iter().enumerate() {
        let mut delta = [0.0; PARAMETERS];
        delta[index] = value;
        let decoded = encode(Codec::Int8, &delta).1[index];
        assert!(decoded.is_finite());
        assert!((value - decoded).abs() <= value.abs() / 100.0 + 6e-39, "{value} became {decoded}");
    }
}

#[test]
fn truncated_and_oversized_payloads_are_refused() {
    for codec in Codec::ALL {
        for delta in [[1.0; PARAMETERS], [0.0; PARAMETERS]] {
            let payload = encode(codec, &delta).0;
            for length in 0..payload.len() {
                refused(&payload[..length]);
                // Also with length and checksum that agree with what is left.
                if length >= HEADER + 4 {
                    let mut shorter = payload[..length].to_vec();
                    shorter[16..24].copy_from_slice(&((length - HEADER - 4) as u64).to_le_bytes());
                    seal(&mut shorter);
                    assert!(matches!(refused(&shorter), CodecError::Length { .. }));
                }
            }
            refused(&[payload.as_slice(), &[0]].concat());
        }
    }
}

#[test]
fn a_wrong_header_is_named() {
    let error = |index: usize, byte: u8| {
        let mut payload = encode(Codec::F32, &[1.0; PARAMETERS]).0;
        payload[index] = byte;
        seal(&mut payload);
        refused(&payload).to_string()
    };
    assert_eq!(error(0, b'x'), "magic is \"xPDL\", not \"DPDL\"");
    assert_eq!(error(4, 9), "format version 9; this program reads version 1");
    assert_eq!(error(5, 9), "codec number 9; known are 1 (f32), 2 (f16), 3 (int8), 4 (topk)");
    assert_eq!(error(6, 2), "header flags are 0x0002; only 0x0000 and 0x0001 have a meaning");
    assert_eq!(error(7, 1), "header flags are 0x0100; only 0x0000 and 0x0001 have a meaning");
    assert_eq!(error(8, 239), "239 parameters; the network has 238");
    assert_eq!(error(15, 255), "18374686479671623918 parameters; the network has 238");
    assert_eq!(error(23, 1), "952 bytes of content; 72057594037928888 are wanted");
}

#[test]
fn values_that_no_encoder_writes_are_refused() {
    let mut payload = encode(Codec::F32, &[1.0; PARAMETERS]).0;
    payload[HEADER + 8..HEADER + 12].copy_from_slice(&f32::NAN.to_le_bytes());
    seal(&mut payload);
    assert_eq!(refused(&payload).to_string(), "value 2 is NaN; every value must be finite");

    let mut payload = encode(Codec::F16, &[1.0; PARAMETERS]).0;
    payload[HEADER + 200..HEADER + 202].copy_from_slice(&[0x00, 0xfc]);
    seal(&mut payload);
    assert_eq!(refused(&payload).to_string(), "value 100 is -inf; every value must be finite");

    for scale in [f32::NAN, f32::INFINITY, -1.0, 0.0, f32::MAX] {
        let mut payload = encode(Codec::Int8, &[1.0; PARAMETERS]).0;
        payload[HEADER + 7..HEADER + 11].copy_from_slice(&scale.to_le_bytes());
        seal(&mut payload);
        assert!(matches!(refused(&payload), CodecError::Scale { row: 1, .. }));
    }
}

#[test]
fn vectors_of_the_wrong_length_are_named() {
    let mut encoder = Encoder::new(Codec::F32, &ROWS);
    let mut decoded = [0.0; PARAMETERS];
    let error = encoder.encode(&[0.0; 3], &mut decoded, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "the delta has 3 values; the rows have 238");
    let error = encoder.encode(&[0.0; PARAMETERS], &mut decoded[1..], &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "the buffer for the decoded delta has 237 values; the rows have 238");
    let payload = encode(Codec::F32, &[1.0; PARAMETERS]).0;
    let error = decode_add(&payload, &ROWS, &mut decoded[1..]).unwrap_err();
    assert_eq!(error.to_string(), "the sum has 237 values; the rows have 238");
}
