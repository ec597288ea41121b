//! A minibatch of images, as the first layer sees it.

use std::ops::Range;

use super::Layer;
use crate::kernel::{
    MatrixMut, Nonzeros, Rows, Simd, gemm, inked_pairs, multiply_nonzeros, nonzeros_gradient, prefetch, widen,
};

/// Up to this share of pairs of pixels that aren't blank, in eighths, the products skip the
/// blank ones: about where the dense product becomes faster with AVX2. (Handwriting has
/// three eighths. With AVX-512 skipping is never slower.)
const MAX_SPARSE_EIGHTHS: usize = 5;

/// With fewer images than this a dense product mostly repacks the weights.
const MIN_DENSE_SAMPLES: usize = 8;

/// The images of one minibatch. Whether blank pixels are skipped or a dense product runs
/// is decided anew for each minibatch, from its pixels only, so that it is reproducible.
#[derive(Debug)]
pub(super) struct Input {
    /// The images, one after the other. Copying them waits for memory once, for all of them
    /// together; what follows finds them in the cache.
    pixels: Vec<u8>,
    nonzeros: Nonzeros,
    dense: Rows,
    samples: usize,
    is_dense: bool,
}

impl Input {
    /// Room for `capacity` images for `layer`, the first one.
    pub(super) fn new(layer: &Layer, capacity: usize) -> Self {
        Self {
            pixels: Vec::with_capacity(capacity * layer.inputs),
            nonzeros: Nonzeros::new(layer.inputs, capacity),
            dense: Rows::new(capacity, layer.inputs),
            samples: 0,
            is_dense: false,
        }
    }

    /// Takes in the images of a minibatch.
    ///
    /// # Panics
    /// If an image has another size than the layer's input, or there are too many.
    pub(super) fn load<'a>(
        &mut self,
        simd: Simd,
        layer: &Layer,
        images: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) {
        self.samples = images.len();
        self.pixels.clear();
        images.clone().for_each(prefetch);
        for image in images {
            assert_eq!(image.len(), layer.inputs, "pixels of an image");
            self.pixels.extend_from_slice(image);
        }
        let (inked, pairs) = (inked_pairs(simd, &self.pixels), self.pixels.len() / 2);
        let is_sparse = self.samples < MIN_DENSE_SAMPLES || inked * 8 <= pairs * MAX_SPARSE_EIGHTHS;
        self.is_dense = !(is_sparse && Nonzeros::supports(layer.outputs));
        if self.is_dense {
            self.widen(simd, layer);
        } else {
            self.nonzeros.load(simd, &self.pixels);
        }
    }

    fn widen(&mut self, simd: Simd, layer: &Layer) {
        let stride = self.dense.stride();
        let rows = self.dense.padded_mut(self.samples).chunks_exact_mut(stride);
        for (row, image) in rows.zip(self.pixels.chunks_exact(layer.inputs)) {
            widen(simd, image, row);
        }
    }

    /// `out += images · weights`, a row per image.
    pub(super) fn forward(&self, simd: Simd, layer: &Layer, parameters: &[f32], out: &mut Rows) {
        if self.is_dense {
            let weights = layer.weight_matrix(parameters);
            gemm(self.dense.matrix(self.samples), weights, true, &mut out.matrix_mut(self.samples));
        } else {
            multiply_nonzeros(simd, &self.nonzeros, &parameters[layer.weights.start..layer.biases.end], out);
        }
    }

    /// Some rows of the gradient in the weights, imagesᵀ · delta. The first row has an even number.
    pub(super) fn weight_gradient(&self, simd: Simd, rows: Range<usize>, delta: &Rows, gradient: &mut [f32]) {
        if self.is_dense {
            let images = self.dense.columns(self.samples, rows.clone());
            let mut gradient = MatrixMut::new(gradient, rows.len(), delta.width());
            gemm(images.transposed(), delta.matrix(self.samples), false, &mut gradient);
        } else {
            nonzeros_gradient(simd, &self.nonzeros, rows, delta, gradient);
        }
    }
}
