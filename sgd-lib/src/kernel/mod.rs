//! Dense and sparse products, activation, softmax: the arithmetic, and the only unsafe code.
//!
//! Everything is `f32`, single-threaded and deterministic: which path runs depends on
//! the processor and on the values given, never on timing, so the same inputs on the
//! same machine give the same bits.
//!
//! | file | what it is for |
//! |---|---|
//! | `simd` | one body compiled for several instruction sets, chosen when the program runs |
//! | `rows` | a row-major matrix whose rows are padded to whole vectors |
//! | `vector` | sixteen or eight values that stay in registers |
//! | `matrix` | borrowed matrices |
//! | `gemm` | dense products |
//! | `compaction` | images without their blank pixels |
//! | `prefetch` | asking for memory before it is needed |
//! | `nonzeros` | products with the input images, of which most pixels are blank |
//! | `dropout` | masks as a function of counters |
//! | `activation` | tanh with dropout, and its slope |
//! | `softmax` | softmax, cross-entropy and their gradient |
//! | `centring` | what centred images add to the products |
//! | `delta` | what a push and a fetch do to a worker's vectors |
//! | `update` | element-wise parameter updates |

mod activation;
mod centring;
mod compaction;
mod delta;
mod dropout;
mod gemm;
mod matrix;
mod nonzeros;
mod prefetch;
mod rows;
mod simd;
mod softmax;
mod update;
mod vector;

pub(crate) use activation::{tanh, tanh_dropout};
pub(crate) use centring::{bias_factors, shift};
pub(crate) use compaction::inked_pairs;
pub(crate) use delta::{add, dequantise_add, difference, follow, magnitude, quantise, subtract};
pub(crate) use dropout::Mask;
pub use gemm::gemm;
pub use matrix::{Matrix, MatrixMut};
pub(crate) use nonzeros::{Factors, Nonzeros, multiply_nonzeros, nonzeros_gradient, widen};
pub(crate) use prefetch::prefetch;
pub(crate) use rows::Rows;
pub(crate) use simd::Simd;
pub(crate) use softmax::{assess, cross_entropy, softmax};
pub(crate) use update::{adagrad, descend, momentum, multiply, scale_and_sum, weighted_sum};
