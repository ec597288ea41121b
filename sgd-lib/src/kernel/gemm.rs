//! Dense products.
//!
//! After Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication", with one level of
//! blocking: a block of the right operand is copied to where it fits the nearest cache, and tiles of the result
//! are summed in registers, a few rows by up to four vectors at a time. The left operand is read where it lies,
//! a value at a time, transposed or not. Nothing is allocated.

use std::array;
use std::cell::RefCell;
use std::ops::Range;

use super::matrix::{Matrix, MatrixMut};
#[cfg(target_arch = "x86_64")]
use super::simd::{AVX2, AVX512};
use super::simd::{LANES, Simd, multiversion};
#[cfg(target_arch = "x86_64")]
use super::vector::{Avx2, Avx512};
use super::vector::{Portable, Registers, Vector};

/// Vectors of a row of the right operand's block, at most.
const MAX_VECTORS: usize = 4;

/// Rows of that block, at most.
const MAX_DEPTH: usize = 112;

/// With fewer rows of the left operand, a copy of the right one is not worth its time.
const MIN_COPY_ROWS: usize = 48;

/// Values between the rows of the right operand from which on they get into each other's way in the cache.
const MAX_STRIDE: usize = 128;

/// Half a vector.
const HALF: usize = LANES / 2;

/// A copy of a block of the right operand: its rows lie one after the other, padded by zeros to whole vectors.
#[repr(align(64))]
pub(super) struct Copied([[f32; LANES]; MAX_VECTORS * MAX_DEPTH]);

thread_local! {
    /// One for all products of a thread: it is larger than many of them, and need not be cleared for each.
    static COPIED: RefCell<Copied> = const { RefCell::new(Copied([[0.0; LANES]; MAX_VECTORS * MAX_DEPTH])) };
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
    COPIED.with_borrow_mut(|copied| multiply(Simd::detect(), a, b, add, c, copied));
}

multiversion! {
    /// [`gemm`] of shapes that fit.
    fn multiply(a: Matrix<'_>, b: Matrix<'_>, add: bool, c: &mut MatrixMut<'_>, copied: &mut Copied) = multiply_all
}

/// What a tile is made of.
struct Tiles<'a, 'b> {
    a: Matrix<'a>,
    /// The block of the right operand: rows of whole and half vectors, of which the last columns may belong to
    /// nothing.
    block: &'b [f32],
    /// From one of its rows to the next.
    stride: usize,
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
    copied: &mut Copied,
) {
    match SIMD {
        #[cfg(target_arch = "x86_64")]
        AVX512 => by_blocks::<Avx512>(a, b, add, c, copied),
        #[cfg(target_arch = "x86_64")]
        AVX2 => by_blocks::<Avx2>(a, b, add, c, copied),
        _ => by_blocks::<Portable>(a, b, add, c, copied),
    }
}

#[inline(always)]
fn by_blocks<T: Registers>(
    a: Matrix<'_>,
    b: Matrix<'_>,
    add: bool,
    c: &mut MatrixMut<'_>,
    copied: &mut Copied,
) {
    for columns in parts(b.columns, MAX_VECTORS.min(T::COUNT / 2) * LANES, LANES) {
        for inner in parts(b.rows, MAX_DEPTH, 1) {
            let (block, stride) = match in_place(a.rows, b, &inner, &columns) {
                Some(block) => (block, b.row_stride),
                None => copy::<T>(b, inner.clone(), columns.clone(), copied),
            };
            let add = add || inner.start > 0;
            let halves = columns.len().div_ceil(HALF);
            let tiles = Tiles { a, block, stride, inner, columns: columns.clone(), add };
            // As many rows as leave registers for a row of the block and a value of `a`.
            match (T::COUNT, halves) {
                (28, 8) => rows::<T, 6, 4, 0>(&tiles, c),
                (28, 7) => rows::<T, 6, 3, 1>(&tiles, c),
                (28, 6) => rows::<T, 8, 3, 0>(&tiles, c),
                (28, 5) => rows::<T, 6, 2, 1>(&tiles, c),
                (28, 4) => rows::<T, 8, 2, 0>(&tiles, c),
                (28, 3) => rows::<T, 8, 1, 1>(&tiles, c),
                (28, 2) => rows::<T, 8, 1, 0>(&tiles, c),
                (28, _) => rows::<T, 8, 0, 1>(&tiles, c),
                (6, 6) => rows::<T, 2, 3, 0>(&tiles, c),
                (6, 5) => rows::<T, 2, 2, 1>(&tiles, c),
                (6, 4) => rows::<T, 2, 2, 0>(&tiles, c),
                (6, 3) => rows::<T, 4, 1, 1>(&tiles, c),
                (6, 2) => rows::<T, 6, 1, 0>(&tiles, c),
                (6, _) => rows::<T, 6, 0, 1>(&tiles, c),
                (_, 2) => rows::<T, 2, 1, 0>(&tiles, c),
                _ => rows::<T, 2, 0, 1>(&tiles, c),
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

/// The block of `b` where it lies, if that does: its rows are at hand, and there is something to read behind the
/// last one, up to whole vectors.
#[inline(always)]
fn in_place<'b>(
    rows: usize,
    b: Matrix<'b>,
    inner: &Range<usize>,
    columns: &Range<usize>,
) -> Option<&'b [f32]> {
    if b.column_stride != 1 || (rows >= MIN_COPY_ROWS && b.row_stride > MAX_STRIDE) {
        return None;
    }
    let length = (inner.len() - 1) * b.row_stride + columns.len().next_multiple_of(HALF);
    b.values.get(inner.start * b.row_stride + columns.start..)?.get(..length)
}

/// Copies a block of `b`. Returns it with its stride.
#[inline(always)]
fn copy<'b, T: Registers>(
    b: Matrix<'_>,
    inner: Range<usize>,
    columns: Range<usize>,
    copied: &'b mut Copied,
) -> (&'b [f32], usize) {
    let vectors = columns.len().div_ceil(LANES);
    if b.column_stride == 1 {
        for (row, target) in inner.zip(copied.0.chunks_exact_mut(vectors)) {
            let source = &b.values[row * b.row_stride..][columns.clone()];
            let (whole, rest) = source.as_chunks::<LANES>();
            for (target, source) in target.iter_mut().zip(whole) {
                T::Whole::load(source).store(target);
            }
            if let Some(target) = target.get_mut(whole.len()) {
                T::Whole::load_first(rest).store(target);
            }
        }
    } else {
        for v in 0..vectors {
            let (first, last) = (columns.start + v * LANES, columns.end - 1);
            let lines: [&[f32]; LANES] = array::from_fn(|lane| {
                // The last vector's last columns belong to nothing.
                &b.values[(first + lane).min(last) * b.column_stride..][inner.clone()]
            });
            for (k, target) in (0..inner.len()).zip(copied.0[v..].iter_mut().step_by(vectors)) {
                for lane in 0..LANES {
                    target[lane] = lines[lane][k];
                }
            }
        }
    }
    (copied.0.as_flattened(), vectors * LANES)
}

/// All rows of `c`, `M` at a time, an even number, and the rest two by two.
#[inline(always)]
fn rows<T: Registers, const M: usize, const V: usize, const H: usize>(
    tiles: &Tiles<'_, '_>,
    c: &mut MatrixMut<'_>,
) {
    let whole = c.rows - c.rows % M;
    for row in (0..whole).step_by(M) {
        tile::<T, M, V, H>(tiles, row, c);
    }
    let pairs = c.rows - c.rows % 2;
    for row in (whole..pairs).step_by(2) {
        tile::<T, 2, V, H>(tiles, row, c);
    }
    if whole.max(pairs) < c.rows {
        tile::<T, 1, V, H>(tiles, c.rows - 1, c);
    }
}

/// A loop of up to eight turns, without one: LLVM keeps an array in registers only where it knows all indices early.
macro_rules! unrolled {
    ($index:ident < $count:expr, $body:block) => {
        unrolled!($index < $count, $body, 0 1 2 3 4 5 6 7)
    };
    ($index:ident < $count:expr, $body:block, $($number:literal)*) => {
        $(if $number < $count {
            let $index = $number;
            $body
        })*
    };
}

/// `M` rows from `row` on, of `V` vectors and `H` halves.
#[inline(always)]
fn tile<T: Registers, const M: usize, const V: usize, const H: usize>(
    tiles: &Tiles<'_, '_>,
    row: usize,
    c: &mut MatrixMut<'_>,
) {
    let Tiles { a, block, stride, inner, columns, add } = tiles;
    let mut block = *block;
    let (mut wholes, mut halves) = ([[T::Whole::splat(0.0); V]; M], [[T::Half::splat(0.0); H]; M]);
    if a.column_stride == 1 {
        let lines: [&[f32]; M] =
            array::from_fn(|m| &a.values[(row + m) * a.row_stride..][inner.clone()][..inner.len()]);
        #[expect(clippy::needless_range_loop, reason = "of the same index of all lines")]
        for k in 0..inner.len() {
            add_outer::<T, M, V, H>(|m| lines[m][k], block, &mut wholes, &mut halves);
            block = block.get(*stride..).unwrap_or_default();
        }
    } else {
        let mut values = &a.values[inner.start * a.column_stride + row..];
        for _ in 0..inner.len() {
            let Some(factors) = values.first_chunk::<M>() else { break };
            add_outer::<T, M, V, H>(|m| factors[m], block, &mut wholes, &mut halves);
            values = values.get(a.column_stride..).unwrap_or_default();
            block = block.get(*stride..).unwrap_or_default();
        }
    }
    unrolled!(m < M, {
        let row = &mut c.values[(row + m) * c.row_stride..][columns.clone()];
        put_row::<T, V, H>(&wholes[m], &halves[m], row, *add);
    });
}

/// Adds `factors · rowᵀ`.
#[inline(always)]
fn add_outer<T: Registers, const M: usize, const V: usize, const H: usize>(
    factor: impl Fn(usize) -> f32,
    row: &[f32],
    wholes: &mut [[T::Whole; V]; M],
    halves: &mut [[T::Half; H]; M],
) {
    let Some((whole, rest)) = row.split_at_checked(V * LANES) else { return };
    let Some((half, _)) = rest.split_at_checked(H * HALF) else { return };
    let Some(whole) = whole.as_chunks::<LANES>().0.first_chunk::<V>() else { return };
    let Some(half) = half.as_chunks::<HALF>().0.first_chunk::<H>() else { return };
    let mut w = [T::Whole::splat(0.0); V];
    for v in 0..V {
        w[v] = T::Whole::load(&whole[v]);
    }
    let mut h = [T::Half::splat(0.0); H];
    for v in 0..H {
        h[v] = T::Half::load(&half[v]);
    }
    for m in 0..M {
        for v in 0..V {
            wholes[m][v] = wholes[m][v].add_scaled(T::Whole::splat(factor(m)), w[v]);
        }
        for v in 0..H {
            halves[m][v] = halves[m][v].add_scaled(T::Half::splat(factor(m)), h[v]);
        }
    }
}

/// Writes a row of sums, or adds it. The last vector's last columns may belong to nothing.
#[inline(always)]
fn put_row<T: Registers, const V: usize, const H: usize>(
    wholes: &[T::Whole; V],
    halves: &[T::Half; H],
    row: &mut [f32],
    add: bool,
) {
    for v in 0..V {
        let values = &mut row[v * LANES..];
        let length = values.len().min(LANES);
        put(wholes[v], &mut values[..length], add);
    }
    for &half in halves {
        put(half, &mut row[V * LANES..], add);
    }
}

/// Writes sums, or adds them.
#[inline(always)]
fn put<T: Vector<N>, const N: usize>(sums: T, target: &mut [f32], add: bool) {
    let sums = if add { T::load_first(target).add(sums) } else { sums };
    sums.store_first(target);
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
                    COPIED.with_borrow_mut(|copied| {
                        multiply(
                            simd,
                            a,
                            Matrix::new(&b, k, n),
                            false,
                            &mut MatrixMut::new(&mut c, m, n),
                            copied,
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
    #[should_panic(expected = "2×3 times 2×3 is no 2×3")]
    fn shapes_that_do_not_fit_are_refused() {
        let a = Matrix::new(&[0.0; 6], 2, 3);
        gemm(a, a, false, &mut MatrixMut::new(&mut [0.0; 6], 2, 3));
    }
}
