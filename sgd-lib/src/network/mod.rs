//! Layers, parameters, forward and backward.
//!
//! A network is its [`Architecture`] and one flat `f32` vector of parameters, which the
//! caller owns: that vector is what optimizers change and what travels between workers.
//! [`Backprop`] and [`Predictor`] hold only buffers, allocated once.
//!
//! | file | what it is for |
//! |---|---|
//! | `architecture` | widths, and where each layer's parameters lie |
//! | `init` | the parameters that training starts from |
//! | `input` | a minibatch of images, as the first layer sees it |
//! | `forward` | the pass that training and prediction share |
//! | `backprop` | the gradient of a minibatch |
//! | `centring` | what makes it that on centred images |
//! | `predictor` | accuracy, loss and probabilities without dropout |

mod architecture;
mod backprop;
mod centring;
mod forward;
mod init;
mod input;
mod predictor;

pub use architecture::{Architecture, ArchitectureError, Layer};
pub use backprop::{Backprop, DropoutKey, Minibatch, Part};
pub use predictor::{Evaluation, Predictor};
