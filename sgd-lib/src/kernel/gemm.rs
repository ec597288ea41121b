//! Dense products.
//!
//! After Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication", with one level of
//! blocking: a block of the right operand is copied to where it fits the nearest cache, and tiles of the result
//! are summed in registers, a few rows by up to four vectors at a time. The left operand is read where it lies,
//! a value at a time, transposed or not. Nothing is allocated.

use std::array;
use std::cell::RefCell;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::simd::{AVX2, AVX512};
use super::simd::{LANES, Simd, multiversion};
#[cfg(target_arch = "x86_64")]
use super::vector::{Avx2, Avx512};
use super::vector::{Portable, Vector};

/// A borrowed matrix, in place or transposed.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A borrowed row-major matrix to write to.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows × columns` values, row after row.
    ///
    /// # Panics
    /// If `values` is shorter.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// As [`Matrix::new`], with each row starting `stride` values after the one before.
    ///
    /// # Panics
    /// If `values` is too short, or rows would overlap.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check(values.len(), rows, columns, stride);
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transposed matrix; nothing is copied.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

impl<'a> MatrixMut<'a> {
    /// `rows × columns` values, row after row.
    ///
    /// # Panics
    /// If `values` is shorter.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// As [`MatrixMut::new`], with each row starting `stride` values after the one before.
    ///
    /// # Panics
    /// If `values` is too short, or rows would overlap.
    pub fn strided(values: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check(values.len(), rows, columns, stride);
        Self { values, rows, columns, row_stride: stride }
    }
}

/// The last value of the last row lies within `length`, rows do not overlap, and
/// offsets fit the signed strides that the product takes.
fn check(length: usize, rows: usize, columns: usize, stride: usize) {
    assert!(columns <= stride, "rows of {columns} values overlap at a stride of {stride}");
    let needed = match rows {
        0 => Some(0),
        rows => (rows - 1).checked_mul(stride).and_then(|start| start.checked_add(columns)),
    };
    assert!(
        needed.is_some_and(|needed| needed <= length) && isize::try_from(stride).is_ok(),
        "{length} values are too few for {rows} rows of {columns} at a stride of {stride}"
    );
}

/// Vectors of a row of the right operand's block, at most.
const MAX_VECTORS: usize = 4;

/// Rows of that block, at most.
const MAX_DEPTH: usize = 112;

/// A block of the right operand: its rows lie one after the other, padded by zeros to whole vectors.
#[repr(align(64))]
pub(super) struct Block([[f32; LANES]; MAX_VECTORS * MAX_DEPTH]);

thread_local! {
    /// One for all products of a thread: it is larger than many of them, and need not be cleared for each.
    static BLOCK: RefCell<Block> = const { RefCell::new(Block([[0.0; LANES]; MAX_VECTORS * MAX_DEPTH])) };
}

/// Sets `c` to `a·b`, or with `add` to `a·b + c`. Without, what `c` held is not read.
///
/// # Panics
/// If the shapes do not fit together.
pub fn gemm(a: Matrix<'_>, b: Matrix<'_>, add: bool, c: &mut MatrixMut<'_>) {
    assert!(
        a.columns == b.rows && a.rows == c.rows && b.columns == c.columns,
        "{}×{} times {}×{} is no {}×{}",
        a.rows,
        a.columns,
        b.rows,
        b.columns,
        c.rows,
        c.columns
    );
    if a.columns == 0 && !add {
        let (columns, stride) = (c.columns, c.row_stride.max(1));
        c.values.chunks_mut(stride).take(c.rows).for_each(|row| row[..columns].fill(0.0));
    }
    BLOCK.with_borrow_mut(|block| multiply(Simd::detect(), a, b, add, c, block));
}

multiversion! {
    /// [`gemm`] of shapes that fit.
    fn multiply(a: Matrix<'_>, b: Matrix<'_>, add: bool, c: &mut MatrixMut<'_>, block: &mut Block) = multiply_all
}

/// What a tile is made of.
struct Tiles<'a, 'b> {
    a: Matrix<'a>,
    block: &'b Block,
    /// Columns of `a` that the block is for.
    inner: Range<usize>,
    /// Columns of `c` that the block is for.
    columns: Range<usize>,
    /// Whether the tiles are added to what `c` holds.
    add: bool,
}

#[inline(always)]
fn multiply_all<const SIMD: u8>(
    a: Matrix<'_>,
    b: Matrix<'_>,
    add: bool,
    c: &mut MatrixMut<'_>,
    block: &mut Block,
) {
    match SIMD {
        #[cfg(target_arch = "x86_64")]
        AVX512 => by_blocks::<Avx512>(a, b, add, c, block),
        #[cfg(target_arch = "x86_64")]
        AVX2 => by_blocks::<Avx2>(a, b, add, c, block),
        _ => by_blocks::<Portable>(a, b, add, c, block),
    }
}

#[inline(always)]
fn by_blocks<T: Vector>(a: Matrix<'_>, b: Matrix<'_>, add: bool, c: &mut MatrixMut<'_>, block: &mut Block) {
    for columns in parts(b.columns, MAX_VECTORS.min(T::REGISTERS / 2) * LANES, LANES) {
        for inner in parts(b.rows, MAX_DEPTH, 1) {
            pack::<T>(b, inner.clone(), columns.clone(), block);
            let add = add || inner.start > 0;
            let tiles = Tiles { a, block, inner, columns: columns.clone(), add };
            // As many rows as leave registers for a row of the block and a value of `a`.
            match (T::REGISTERS, columns.len().div_ceil(LANES)) {
                (28, 4) => rows::<T, 6, 4>(&tiles, c),
                (28, 3) => rows::<T, 8, 3>(&tiles, c),
                (28, 2) => rows::<T, 8, 2>(&tiles, c),
                (28, _) => rows::<T, 8, 1>(&tiles, c),
                (6, 3) => rows::<T, 2, 3>(&tiles, c),
                (6, 2) => rows::<T, 2, 2>(&tiles, c),
                (6, _) => rows::<T, 6, 1>(&tiles, c),
                _ => rows::<T, 2, 1>(&tiles, c),
            }
        }
    }
}

/// `0..length` in as few parts of at most `most` as can be, of about equal length and, but for the last one,
/// multiples of `unit`.
#[inline(always)]
fn parts(length: usize, most: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let part = length.div_ceil(length.div_ceil(most).max(1)).next_multiple_of(unit).max(1);
    (0..length).step_by(part).map(move |start| start..length.min(start + part))
}

/// Copies a block of `b`.
#[inline(always)]
fn pack<T: Vector>(b: Matrix<'_>, inner: Range<usize>, columns: Range<usize>, block: &mut Block) {
    let vectors = columns.len().div_ceil(LANES);
    if b.column_stride == 1 {
        for (row, target) in inner.zip(block.0.chunks_exact_mut(vectors)) {
            let source = &b.values[row * b.row_stride..][columns.clone()];
            let (whole, rest) = source.as_chunks::<LANES>();
            for (target, source) in target.iter_mut().zip(whole) {
                T::load(source).store(target);
            }
            if let Some(target) = target.get_mut(whole.len()) {
                T::load_first(rest).store(target);
            }
        }
    } else {
        let target = block.0.as_flattened_mut();
        target[..inner.len() * vectors * LANES].fill(0.0);
        for (index, column) in columns.enumerate() {
            let source = &b.values[column * b.column_stride..][inner.clone()];
            for (target, &value) in target[index..].iter_mut().step_by(vectors * LANES).zip(source) {
                *target = value;
            }
        }
    }
}

/// All rows of `c`, `M` at a time, an even number, and the rest two by two.
#[inline(always)]
fn rows<T: Vector, const M: usize, const V: usize>(tiles: &Tiles<'_, '_>, c: &mut MatrixMut<'_>) {
    let whole = c.rows - c.rows % M;
    for row in (0..whole).step_by(M) {
        tile::<T, M, V>(tiles, row, c);
    }
    let pairs = c.rows - c.rows % 2;
    for row in (whole..pairs).step_by(2) {
        tile::<T, 2, V>(tiles, row, c);
    }
    if whole.max(pairs) < c.rows {
        tile::<T, 1, V>(tiles, c.rows - 1, c);
    }
}

/// `M` rows from `row` on, of `V` vectors.
#[inline(always)]
fn tile<T: Vector, const M: usize, const V: usize>(tiles: &Tiles<'_, '_>, row: usize, c: &mut MatrixMut<'_>) {
    let Tiles { a, block, inner, columns, add } = tiles;
    let (block, _) = block.0.as_chunks::<V>();
    let block = &block[..inner.len()];
    let mut sums = [[T::splat(0.0); V]; M];
    if a.column_stride == 1 {
        let lines: [&[f32]; M] =
            array::from_fn(|m| &a.values[(row + m) * a.row_stride..][inner.clone()][..block.len()]);
        for (k, vectors) in block.iter().enumerate() {
            let mut factors = [0.0; M];
            for m in 0..M {
                factors[m] = lines[m][k];
            }
            add_outer(factors, vectors, &mut sums);
        }
    } else {
        let mut values = &a.values[inner.start * a.column_stride + row..];
        for vectors in block {
            let Some(factors) = values.first_chunk::<M>() else { break };
            add_outer(*factors, vectors, &mut sums);
            values = values.get(a.column_stride..).unwrap_or_default();
        }
    }
    for (m, sums) in sums.iter().enumerate() {
        put::<T, V>(sums, &mut c.values[(row + m) * c.row_stride..][columns.clone()], *add);
    }
}

/// `sums += factors · vectorsᵀ`.
#[inline(always)]
fn add_outer<T: Vector, const M: usize, const V: usize>(
    factors: [f32; M],
    vectors: &[[f32; LANES]; V],
    sums: &mut [[T; V]; M],
) {
    let mut loaded = [T::splat(0.0); V];
    for v in 0..V {
        loaded[v] = T::load(&vectors[v]);
    }
    for m in 0..M {
        let factor = T::splat(factors[m]);
        for v in 0..V {
            sums[m][v] = sums[m][v].add_scaled(factor, loaded[v]);
        }
    }
}

/// Writes a row of sums, or adds it.
#[inline(always)]
fn put<T: Vector, const V: usize>(sums: &[T; V], target: &mut [f32], add: bool) {
    let (whole, rest) = target.as_chunks_mut::<LANES>();
    if let Some(whole) = whole.first_chunk_mut::<V>() {
        for v in 0..V {
            let sum = if add { T::load(&whole[v]).add(sums[v]) } else { sums[v] };
            sum.store(&mut whole[v]);
        }
        return;
    }
    let whole = &mut whole[..V - 1];
    for v in 0..V - 1 {
        let sum = if add { T::load(&whole[v]).add(sums[v]) } else { sums[v] };
        sum.store(&mut whole[v]);
    }
    let sum = if add { T::load_first(rest).add(sums[V - 1]) } else { sums[V - 1] };
    sum.store_first(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_computes_the_same() {
        let waves = |count: usize| (0..count).map(|index| (index as f32 * 0.61).sin()).collect::<Vec<_>>();
        for (m, k, n) in [(7, 5, 1), (13, 115, 17), (9, 3, 47), (6, 230, 64), (11, 8, 150)] {
            let (a, b) = (waves(m * k), waves(k * n));
            let (plain, turned) = (Matrix::new(&a, m, k), Matrix::new(&a, k, m).transposed());
            for simd in Simd::available() {
                for a in [plain, turned] {
                    let mut c = vec![f32::NAN; m * n];
                    BLOCK.with_borrow_mut(|block| {
                        multiply(
                            simd,
                            a,
                            Matrix::new(&b, k, n),
                            false,
                            &mut MatrixMut::new(&mut c, m, n),
                            block,
                        );
                    });
                    for (index, found) in c.into_iter().enumerate() {
                        let term = |i: usize| {
                            let a = a.values[index / n * a.row_stride + i * a.column_stride];
                            f64::from(a) * f64::from(b[i * n + index % n])
                        };
                        let exact: f64 = (0..k).map(term).sum();
                        assert!((f64::from(found) - exact).abs() < 1e-4, "{found} not {exact} with {simd:?}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "5 values are too few for 2 rows of 3 at a stride of 3")]
    fn a_short_slice_is_refused() {
        Matrix::new(&[0.0; 5], 2, 3);
    }

    #[test]
    #[should_panic(expected = "too few")]
    fn a_shape_whose_size_overflows_is_refused() {
        Matrix::strided(&[0.0; 5], usize::MAX, 1, usize::MAX / 2);
    }

    #[test]
    #[should_panic(expected = "2×3 times 2×3 is no 2×3")]
    fn shapes_that_do_not_fit_are_refused() {
        let a = Matrix::new(&[0.0; 6], 2, 3);
        gemm(a, a, false, &mut MatrixMut::new(&mut [0.0; 6], 2, 3));
    }
}
