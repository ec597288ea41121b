//! The largest values alone; what is left out stays with the sender, who adds it to its next delta (Aji and
//! Heafield 2017: "Sparse communication for distributed gradient descent"; Stich, Cordonnier and Jaggi 2018:
//! "Sparsified SGD with memory"; a run of rows for itself and sampled thresholds: Lin et al. 2018: "Deep
//! gradient compression").
//!
//! For each run of rows, little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | how many values follow; if none, nothing more |
//! | 4 | scale: value ≈ scale × byte, as with `int8` |
//! | a byte or more a value | how many are left out before it; 255: so many, and more |
//! | a byte a value | -127..=127 |

use std::ops::Range;

use super::CodecError;
use super::encoder::Delta;
use super::int8::{check_scale, scale_for};
use crate::kernel::{Simd, magnitude, quantise};

/// One value of so many is sent, the largest of each run of rows. EMNIST ByMerge, two workers, to 75 %: with 24,
/// 48 and 96 the samples of f32 times 0.86 to 0.87, and 1/32, 1/49 and 1/68 of its bytes, most of which with 96
/// are the flushes.
const ONE_OF: usize = 48;
/// A run of more values than this is judged by about so many of them.
const SAMPLE: usize = 2048;
/// Left out so many, and the next byte's.
const MORE: u8 = u8::MAX;
/// Values looked at together.
const CHUNK: usize = 16;
const COUNT_BYTES: usize = 4;
const SCALE_BYTES: usize = 4;

/// Ranges of values of the runs of `rows`, without those that have none, with the number of their rows.
pub(super) fn runs(rows: &[(usize, usize)]) -> impl Iterator<Item = (Range<usize>, usize)> + '_ {
    let runs = rows.iter().filter(|(count, length)| count * length > 0);
    runs.scan(0, |start, &(count, length)| {
        let range = *start..*start + count * length;
        *start = range.end;
        Some((range, count))
    })
}

/// The buffers of an encoder; they grow to what is needed, once.
#[derive(Clone, Debug, Default)]
pub(super) struct TopK {
    sample: Vec<u32>,
    gaps: Vec<u8>,
    values: Vec<u8>,
    content: Vec<u8>,
}

impl TopK {
    /// The content of a payload for `delta`, whose rows have these magnitudes (their bits). `decoded` has room for
    /// the longest row.
    pub(super) fn encode(
        &mut self,
        rows: &[(usize, usize)],
        magnitudes: &[u32],
        delta: &mut impl Delta,
        decoded: &mut [f32],
    ) -> &[u8] {
        self.content.clear();
        let mut magnitudes = magnitudes;
        for (run, count) in runs(rows) {
            let (of_run, rest) = magnitudes.split_at(count);
            magnitudes = rest;
            self.encode_run(of_run, run, delta, decoded);
        }
        &self.content
    }

    fn encode_run(
        &mut self,
        magnitudes: &[u32],
        run: Range<usize>,
        delta: &mut impl Delta,
        decoded: &mut [f32],
    ) {
        self.gaps.clear();
        self.values.clear();
        let largest = magnitudes.iter().copied().max().unwrap_or(0);
        let scale = scale_for(f32::from_bits(largest));
        // What would be rounded to zero stays here, too.
        let least = self.threshold(delta.row(run.clone())).max((0.5 * scale).to_bits());
        let length = run.len() / magnitudes.len().max(1);
        let (decoded, mut next) = (&mut decoded[..length], 0);
        for (row, magnitude) in magnitudes.iter().enumerate() {
            let start = run.start + row * length;
            decoded.fill(0.0);
            if *magnitude >= least {
                next =
                    self.choose(row * length, next, delta.row(start..start + length), least, scale, decoded);
            }
            delta.sent(start..start + length, decoded);
        }
        let count = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.content.extend(count.to_le_bytes());
        if count > 0 {
            self.content.extend(scale.to_le_bytes());
            self.content.extend(&self.gaps);
            self.content.extend(&self.values);
        }
    }

    /// The bits of about the smallest absolute value to send.
    fn threshold(&mut self, run: &[f32]) -> u32 {
        // Odd, so that rows of an even length are not always looked at in the same places.
        let stride = (run.len() / SAMPLE) | 1;
        self.sample.clear();
        self.sample.extend(run.iter().step_by(stride).map(|value| value.abs().to_bits()));
        let last = self.sample.len().div_ceil(ONE_OF) - 1;
        *self.sample.select_nth_unstable_by(last, |left, right| right.cmp(left)).1
    }

    /// Takes of a row, which begins at index `start` of its run, what is not below `least`. The value after the
    /// last one that was taken has index `next`; returns what that is afterwards.
    fn choose(
        &mut self,
        start: usize,
        mut next: usize,
        row: &[f32],
        least: u32,
        scale: f32,
        decoded: &mut [f32],
    ) -> usize {
        let (simd, mut rounded, mut bytes) = (Simd::detect(), [0.0; CHUNK], [0; CHUNK]);
        let chunks = row.chunks(CHUNK).zip(decoded.chunks_mut(CHUNK)).enumerate();
        for (chunk, (values, decoded)) in chunks {
            if magnitude(simd, values) < least {
                continue;
            }
            quantise(simd, scale, values, &mut rounded, &mut bytes);
            for (lane, _) in values.iter().enumerate().filter(|(_, value)| value.abs().to_bits() >= least) {
                let index = start + chunk * CHUNK + lane;
                decoded[lane] = rounded[lane];
                self.values.push(bytes[lane]);
                self.leave_out(index - next);
                next = index + 1;
            }
        }
        next
    }

    fn leave_out(&mut self, mut count: usize) {
        while count >= usize::from(MORE) {
            self.gaps.push(MORE);
            count -= usize::from(MORE);
        }
        self.gaps.push(count as u8);
    }
}

/// The values of one run, checked.
struct Run<'a> {
    scale: f32,
    gaps: &'a [u8],
    values: &'a [u8],
}

impl<'a> Run<'a> {
    /// Splits a run of `length` values off the content; its first row is number `row`.
    fn split(content: &'a [u8], length: usize, row: usize) -> Result<(Self, &'a [u8]), CodecError> {
        let truncated = |wanted: usize| CodecError::Length { found: content.len(), wanted: wanted as u64 };
        let (count, rest) = content.split_first_chunk().ok_or_else(|| truncated(COUNT_BYTES))?;
        let count = u32::from_le_bytes(*count) as usize;
        if count == 0 {
            return Ok((Self { scale: 0.0, gaps: &[], values: &[] }, rest));
        }
        let (scale, rest) =
            rest.split_first_chunk().ok_or_else(|| truncated(COUNT_BYTES + SCALE_BYTES + 2 * count))?;
        let scale = check_scale(f32::from_le_bytes(*scale), row)?;
        let (mut end, mut missing, mut bytes) = (0, count, 0);
        for &gap in rest {
            if missing == 0 {
                break;
            }
            bytes += 1;
            end += usize::from(gap);
            if gap != MORE {
                (end, missing) = (end + 1, missing - 1);
            }
            if end > length {
                return Err(CodecError::Position { found: end - 1, values: length });
            }
        }
        let values = bytes + missing;
        let (gaps, rest) = rest
            .split_at_checked(values)
            .ok_or_else(|| truncated(COUNT_BYTES + SCALE_BYTES + values + count))?;
        let (values, rest) = rest
            .split_at_checked(count)
            .ok_or_else(|| truncated(COUNT_BYTES + SCALE_BYTES + values + count))?;
        Ok((Self { scale, gaps, values }, rest))
    }

    fn add(&self, sum: &mut [f32]) {
        let (mut index, mut values) = (0, self.values.iter());
        for &gap in self.gaps {
            index += usize::from(gap);
            if gap == MORE {
                continue;
            }
            if let (Some(value), Some(sum)) = (values.next(), sum.get_mut(index)) {
                *sum += f32::from(value.cast_signed()) * self.scale;
            }
            index += 1;
        }
    }
}

/// Adds a payload's content to `sum`, or with `clear` to zeros; on an error `sum` does not change.
pub(super) fn add(
    content: &[u8],
    rows: &[(usize, usize)],
    sum: &mut [f32],
    clear: bool,
) -> Result<(), CodecError> {
    let (mut rest, mut row) = (content, 0);
    for (range, count) in runs(rows) {
        (_, rest) = Run::split(rest, range.len(), row)?;
        row += count;
    }
    if !rest.is_empty() {
        let wanted = (content.len() - rest.len()) as u64;
        return Err(CodecError::Length { found: content.len(), wanted });
    }
    if clear {
        sum.fill(0.0);
    }
    rest = content;
    for (range, _) in runs(rows) {
        let run;
        (run, rest) = Run::split(rest, range.len(), 0)?;
        run.add(&mut sum[range]);
    }
    Ok(())
}
