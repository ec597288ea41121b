//! A borrowed part of a data set.

/// Images and their labels, one after the other: training or test data.
#[derive(Clone, Copy, Debug)]
pub struct Split<'a> {
    /// Pixels, `len() × pixels` of them, 0 (blank) to 255, image after image, row-major and upright.
    pub images: &'a [u8],
    /// One class per image, `0..classes`.
    pub labels: &'a [u8],
    /// Pixels per image.
    pub pixels: usize,
}

impl<'a> Split<'a> {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image.
    ///
    /// # Panics
    /// If `index` is not below [`Split::len`].
    pub fn image(&self, index: usize) -> &'a [u8] {
        &self.images[index * self.pixels..(index + 1) * self.pixels]
    }

    /// The first `count` images, or all where there are fewer.
    pub fn first(&self, count: usize) -> Split<'a> {
        let count = count.min(self.len());
        Split {
            images: &self.images[..count * self.pixels],
            labels: &self.labels[..count],
            pixels: self.pixels,
        }
    }
}
