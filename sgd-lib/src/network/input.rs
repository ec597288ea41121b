//! A minibatch of images, as the first layer sees it.

use std::ops::Range;

use super::Layer;
use super::centring::Centring;
use crate::kernel::{
    Factors, MatrixMut, Nonzeros, Rows, Simd, gemm, inked_pairs, multiply_nonzeros, nonzeros_gradient,
    prefetch, widen,
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
    /// The images as rows; where they're centred, a last row stands for what is added to each.
    dense: Rows,
    /// How the gradient is changed, if it is.
    pub(super) centring: Option<Centring>,
    /// What is added to each image where nothing is.
    no_shift: Vec<f32>,
    samples: usize,
    is_dense: bool,
}

impl Input {
    /// Room for `capacity` images for `layer`, the first one.
    pub(super) fn new(layer: &Layer, capacity: usize) -> Self {
        Self {
            pixels: Vec::with_capacity(capacity * layer.inputs),
            nonzeros: Nonzeros::new(layer.inputs, capacity),
            dense: Rows::new(capacity + 1, layer.inputs),
            centring: None,
            no_shift: vec![0.0; layer.inputs],
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
        if let Some(centring) = &mut self.centring {
            centring.load(&self.pixels);
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
        if let Some(centring) = &self.centring {
            let shift = &mut self.dense.padded_mut(self.samples + 1)[self.samples * stride..];
            shift[..layer.inputs].copy_from_slice(centring.shift());
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

    /// Some rows of the gradient in the weights, imagesᵀ · delta, or with `add` added to what `gradient` holds. The
    /// first row has an even number. Behind the samples' rows `delta` has one with their sum, and its padding is
    /// zero.
    pub(super) fn weight_gradient(
        &self,
        simd: Simd,
        rows: Range<usize>,
        delta: &Rows,
        add: bool,
        gradient: &mut [f32],
    ) {
        if self.is_dense {
            let samples = self.samples + usize::from(self.centring.is_some());
            let images = self.dense.columns(samples, rows.clone());
            let mut gradient = MatrixMut::new(gradient, rows.len(), delta.width());
            gemm(images.transposed(), delta.matrix(samples), add, &mut gradient);
        } else {
            let shift = self.centring.as_ref().map_or(&*self.no_shift, Centring::shift);
            nonzeros_gradient(simd, &Factors { images: &self.nonzeros, shift, delta }, rows, add, gradient);
        }
    }

    /// The gradient in the biases.
    pub(super) fn bias_gradient(&self, delta: &Rows, biases: &mut [f32]) {
        match &self.centring {
            Some(centring) => centring.bias_gradient(delta, biases),
            None => biases.copy_from_slice(delta.row(self.samples)),
        }
    }
}
