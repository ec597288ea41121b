//! How many images of what size: the numbers that everything is checked against.

use serde::{Deserialize, Serialize};

/// No image is wider or higher.
pub(crate) const MAX_SIDE: u32 = 1024;
/// Labels are bytes.
pub(crate) const MAX_CLASSES: u32 = 256;
/// No more training (or test) images are read: 24 times EMNIST.
pub(crate) const MAX_IMAGES: u64 = 1 << 24;
/// No prepared data set is larger: 25 times EMNIST.
pub(crate) const MAX_PAYLOAD_BYTES: u64 = 1 << 34;

/// The sizes of a prepared data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Pixels in a row of an upright image.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Number of classes.
    pub classes: u32,
    /// Training images.
    pub train: u64,
    /// Test images.
    pub test: u64,
}

/// A number out of bounds.
#[derive(Debug)]
pub(crate) struct OutOfBounds {
    pub(crate) field: &'static str,
    pub(crate) found: u64,
    pub(crate) wanted: String,
}

impl Shape {
    /// Pixels per image.
    pub fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Whether every number is within the limits, so that sums and products can't overflow.
    pub(crate) fn check(&self) -> Result<(), OutOfBounds> {
        let within = |field, found: u64, least: u64, most: u64| {
            let wanted = || format!("{least} to {most}");
            if (least..=most).contains(&found) {
                Ok(())
            } else {
                Err(OutOfBounds { field, found, wanted: wanted() })
            }
        };
        within("width", self.width.into(), 1, MAX_SIDE.into())?;
        within("height", self.height.into(), 1, MAX_SIDE.into())?;
        within("number of classes", self.classes.into(), 1, MAX_CLASSES.into())?;
        within("number of training images", self.train, 1, MAX_IMAGES)?;
        within("number of test images", self.test, 1, MAX_IMAGES)?;
        within("number of bytes", self.payload_bytes(), 1, MAX_PAYLOAD_BYTES)
    }

    /// Bytes of the training images.
    pub(crate) fn train_bytes(&self) -> u64 {
        self.train * self.pixels() as u64
    }

    /// Bytes of all images and labels.
    pub(crate) fn payload_bytes(&self) -> u64 {
        (self.train + self.test) * (self.pixels() as u64 + 1)
    }
}
