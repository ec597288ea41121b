//! A worker's copy of the parameters.
//!
//! θ = the parameters that are trained; base = initial parameters + every entry folded or pushed so far;
//! residue = what a lossy codec has not sent yet. All are flat vectors in the architecture's layout.
//!
//! A sparse codec holds back most of what the worker learnt, for many pushes. So that training goes on from
//! there all the same, θ keeps the residue then: after a push θ = base + decoded + residue. (With θ = base +
//! decoded, as where only rounding is held back, it takes three tenths more samples.) The residue counts as in
//! the base to come, so it is worth what its push will be.
//!
//! What the replica itself pushes is in base from then on: a replica whose push is refused has no further use.
//! Where workers wait for one another it comes back instead, with the others' ([`Coupling::ComesBack`]): added in
//! the same order by all, it gives the same bits. With [`Coupling::Elastic`] θ keeps a distance from base, in which
//! a lossy codec's residue stays.

use std::ops::Range;

use super::schedule::Coupling;
use crate::codec::{Codec, CodecError, Delta, Encoder};
use crate::kernel::{self, Simd};

/// θ, base and residue, and the encoders of a push. Nothing is allocated after [`Replica::new`].
pub(super) struct Replica {
    vectors: Vectors,
    encoder: Encoder,
    whole: Encoder,
}

struct Vectors {
    parameters: Vec<f32>,
    base: Vec<f32>,
    residue: Vec<f32>,
    coupling: Coupling,
    /// 1 where θ keeps the residue, else 0.
    kept: f32,
    simd: Simd,
}

impl Replica {
    /// A copy of `base`.
    pub(super) fn new(base: Vec<f32>, codec: Codec, rows: &[(usize, usize)], coupling: Coupling) -> Self {
        let vectors = Vectors {
            parameters: base.clone(),
            residue: vec![0.0; base.len()],
            base,
            coupling,
            kept: if codec.is_sparse() && coupling == Coupling::Follows { 1.0 } else { 0.0 },
            simd: Simd::detect(),
        };
        Self { vectors, encoder: Encoder::new(codec, rows), whole: Encoder::new(Codec::F32, rows) }
    }

    /// θ, to train on.
    pub(super) fn parameters(&mut self) -> &mut [f32] {
        &mut self.vectors.parameters
    }

    /// θ, and the base that it moved away from.
    pub(super) fn moved(&mut self) -> (&mut [f32], &[f32]) {
        (&mut self.vectors.parameters, &self.vectors.base)
    }

    /// The sum of everything that was folded or pushed so far.
    pub(super) fn base(&self) -> &[f32] {
        &self.vectors.base
    }

    /// Encodes what θ moved since the last push, times `weight`, plus the residue; with `flush`
    /// as f32, so that nothing is held back. Base moves by what was encoded. Afterwards θ = base (and the residue of
    /// a sparse codec), so a row without a gradient stays equal and is skipped. Where the push comes back, base does
    /// not move before, and θ = base; where θ keeps its distance, it loses what was encoded.
    pub(super) fn encode(
        &mut self,
        weight: f32,
        flush: bool,
        payload: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let encoder = if flush { &mut self.whole } else { &mut self.encoder };
        encoder.encode_rows(&mut Moved { vectors: &mut self.vectors, weight }, payload)
    }

    /// Folds in what was pushed by others, or by all.
    pub(super) fn fold(&mut self, sum: &[f32]) {
        let Vectors { parameters, base, coupling, simd, .. } = &mut self.vectors;
        kernel::add(*simd, base, sum);
        if *coupling != Coupling::Elastic {
            kernel::add(*simd, parameters, sum);
        }
    }

    /// Takes over a base that was rebuilt from snapshot and log; θ keeps what it has not pushed, or stays.
    pub(super) fn rebase(&mut self, new: Vec<f32>) {
        let Vectors { parameters, base, coupling, .. } = &mut self.vectors;
        let follows = *coupling != Coupling::Elastic;
        for ((theta, old), new) in parameters.iter_mut().zip(&*base).zip(&new).filter(|_| follows) {
            // What is equal stays so to the bit.
            *theta = if theta == old { *new } else { *theta + (new - old) };
        }
        *base = new;
    }
}

/// What θ moved, as a delta to encode.
struct Moved<'a> {
    vectors: &'a mut Vectors,
    weight: f32,
}

impl Delta for Moved<'_> {
    fn make(&mut self, row: Range<usize>) -> &[f32] {
        let Vectors { parameters, base, residue, coupling, kept, simd } = &mut *self.vectors;
        let held = if *coupling == Coupling::Elastic { 0.0 } else { 1.0 };
        let (theta, base, residue) = (&parameters[row.clone()], &base[row.clone()], &mut residue[row]);
        kernel::difference(*simd, self.weight, held, *kept, theta, base, residue);
        residue
    }

    fn row(&self, row: Range<usize>) -> &[f32] {
        &self.vectors.residue[row]
    }

    fn sent(&mut self, row: Range<usize>, decoded: &[f32]) {
        let Vectors { parameters, base, residue, coupling, kept, simd } = &mut *self.vectors;
        let (theta, base) = (&mut parameters[row.clone()], &mut base[row.clone()]);
        let residue = &mut residue[row];
        match coupling {
            Coupling::Follows => kernel::follow(*simd, *kept, decoded, residue, base, theta),
            Coupling::ComesBack => {
                kernel::subtract(*simd, residue, decoded);
                theta.copy_from_slice(base);
            }
            Coupling::Elastic => {
                kernel::subtract(*simd, residue, decoded);
                kernel::subtract(*simd, theta, decoded);
                kernel::add(*simd, base, decoded);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::decode_add;

    const ROWS: &[(usize, usize)] = &[(3, 2)];

    #[test]
    fn what_is_pushed_is_what_base_becomes() {
        for codec in [Codec::F32, Codec::F16, Codec::Int8] {
            let mut replica = Replica::new(vec![0.5; 6], codec, ROWS, Coupling::Follows);
            replica.parameters()[..2].copy_from_slice(&[0.75, 0.4]);
            let mut payload = Vec::new();
            replica.encode(0.5, false, &mut payload).unwrap();
            let mut received = vec![0.5; 6];
            decode_add(&payload, ROWS, &mut received).unwrap();
            assert_eq!(replica.base(), received, "{codec}");
            assert_eq!(replica.parameters(), received, "{codec}");
        }
    }

    #[test]
    fn a_flush_sends_what_rounding_held_back() {
        let mut replica = Replica::new(vec![0.0; 6], Codec::Int8, ROWS, Coupling::Follows);
        let moved = [0.1, 0.033, -0.7, 0.2, 0.0, 0.0];
        replica.parameters().copy_from_slice(&moved);
        let mut payload = Vec::new();
        replica.encode(1.0, false, &mut payload).unwrap();
        assert_ne!(replica.base(), moved);
        replica.encode(1.0, true, &mut payload).unwrap();
        for (base, wanted) in replica.base().iter().zip(moved) {
            assert!((base - wanted).abs() < 1e-7, "{base} {wanted}");
        }
    }

    #[test]
    fn training_goes_on_from_what_a_sparse_codec_holds_back() {
        let mut replica = Replica::new(vec![0.5; 6], Codec::TopK, ROWS, Coupling::Follows);
        let step = [0.25, 0.1, 0.0, 0.0, 0.1, 0.0];
        let mut payload = Vec::new();
        let mut received = vec![0.5; 6];
        for push in 1..=3 {
            for (theta, step) in replica.parameters().iter_mut().zip(step) {
                *theta += step;
            }
            replica.encode(0.5, false, &mut payload).unwrap();
            decode_add(&payload, ROWS, &mut received).unwrap();
            assert_eq!(replica.base(), received);
            assert_ne!(replica.base(), replica.vectors.parameters, "only the largest value was sent");
            for (theta, step) in replica.vectors.parameters.iter().zip(step) {
                let wanted = 0.5 + 0.5 * step * push as f32;
                assert!((theta - wanted).abs() < 1e-6, "{theta} {wanted}");
            }
        }
        replica.encode(0.5, true, &mut payload).unwrap();
        assert_eq!(replica.base(), replica.vectors.parameters);
        for (base, step) in replica.base().iter().zip(step) {
            assert!((base - (0.5 + 1.5 * step)).abs() < 1e-6, "nothing is lost, nothing counts twice");
        }
    }

    #[test]
    fn a_new_base_keeps_what_was_not_pushed() {
        let mut replica = Replica::new(vec![0.0; 6], Codec::F32, ROWS, Coupling::Follows);
        replica.parameters()[0] = 1.0;
        replica.fold(&[0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        replica.rebase(vec![4.0; 6]);
        assert_eq!(replica.parameters(), [5.0, 4.0, 4.0, 4.0, 4.0, 4.0]);
    }

    #[test]
    fn a_push_that_comes_back_counts_once_and_its_residue_goes_on() {
        let mut replica = Replica::new(vec![0.5; 6], Codec::Int8, ROWS, Coupling::ComesBack);
        let moved = [0.75, 0.4, 0.5, 0.51, 0.5, 0.503];
        replica.parameters().copy_from_slice(&moved);
        let (mut payload, mut sum) = (Vec::new(), vec![0.0; 6]);
        replica.encode(0.5, false, &mut payload).unwrap();
        assert_eq!((replica.base(), &replica.vectors.parameters[..]), (&[0.5; 6][..], &[0.5; 6][..]));
        decode_add(&payload, ROWS, &mut sum).unwrap();
        replica.encode(0.5, true, &mut payload).unwrap();
        decode_add(&payload, ROWS, &mut sum).unwrap();
        replica.fold(&sum);
        assert_eq!(replica.base(), replica.vectors.parameters.clone());
        for (base, moved) in replica.base().iter().zip(moved) {
            assert!((base - (0.5 + moved) / 2.0).abs() < 1e-7, "{base} {moved}");
        }
    }

    #[test]
    fn what_an_elastic_push_gives_to_base_it_takes_from_theta() {
        for codec in [Codec::F32, Codec::Int8] {
            let mut replica = Replica::new(vec![0.5; 6], codec, ROWS, Coupling::Elastic);
            let theta = [0.75, 0.4, 0.5, 0.51, 0.5, 0.503];
            replica.parameters().copy_from_slice(&theta);
            let (mut payload, mut received) = (Vec::new(), vec![0.5; 6]);
            for _ in 0..40 {
                replica.encode(0.3, false, &mut payload).unwrap();
                decode_add(&payload, ROWS, &mut received).unwrap();
                assert_eq!(replica.base(), received, "{codec}");
            }
            for ((base, own), theta) in received.iter().zip(&replica.vectors.parameters).zip(theta) {
                // (1 − 2·0.3)^40 of the distance is left: they have met half way.
                assert!((base + own - (0.5 + theta)).abs() < 1e-6, "{codec}: {base} {own} {theta}");
                assert!((base - own).abs() < 1e-3, "{codec}: {base} {own} {theta}");
            }
            let own = replica.vectors.parameters.clone();
            replica.fold(&[1.0; 6]);
            replica.rebase(vec![9.0; 6]);
            assert_eq!(replica.parameters(), own, "what others push pulls at the next push");
        }
    }
}
