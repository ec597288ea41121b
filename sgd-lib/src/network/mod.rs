//! Layers, parameters, forward and backward.

mod architecture;

pub use architecture::{Architecture, ArchitectureError, Layer};
