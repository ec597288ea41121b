//! Matrices and structs: what stands at the beginning of a matrix element.

use super::{super::DatasetError, stream::Stream};

/// MATLAB's number for struct arrays.
const CLASS_STRUCT: u8 = 2;

/// MATLAB's names have at most 63 letters.
const MAX_NAME_BYTES: u64 = 64;
const MAX_FIELDS: u64 = 64;
const MAX_SIZES: u64 = 32;

/// The beginning of a matrix: all but its contents.
pub(super) struct Matrix {
    class: u8,
    pub(super) complex: bool,
    sizes: Vec<u32>,
    pub(super) name: String,
}

impl Matrix {
    /// Reads the beginning of a matrix of `left` bytes; `None` for an empty one.
    pub(super) fn read(stream: &mut Stream<'_>, left: &mut u64) -> Result<Option<Self>, DatasetError> {
        if *left == 0 {
            return Ok(None);
        }
        let (_, flags) = stream.bytes(left, 8, "the flags of a matrix")?;
        let Some(flags) = stream.words(&flags).next() else {
            return Err(DatasetError::format(stream.path(), "no flags of a matrix", "8 bytes"));
        };
        let (_, sizes) = stream.bytes(left, 4 * MAX_SIZES, "the sizes of a matrix")?;
        let sizes = stream.words(&sizes).collect();
        let (_, name) = stream.bytes(left, MAX_NAME_BYTES, "the name of a matrix")?;
        let name = String::from_utf8_lossy(&name).into_owned();
        Ok(Some(Self { class: (flags & 0xff) as u8, complex: flags & 0x800 != 0, sizes, name }))
    }

    /// The same, where an empty matrix will not do.
    pub(super) fn read_some(
        stream: &mut Stream<'_>,
        left: &mut u64,
        name: &str,
    ) -> Result<Self, DatasetError> {
        Self::read(stream, left)?
            .ok_or_else(|| DatasetError::format(stream.path(), format!("nothing in `{name}`"), "a matrix"))
    }

    /// Rows and columns.
    pub(super) fn two_sizes(&self, stream: &Stream<'_>, name: &str) -> Result<(u32, u32), DatasetError> {
        match self.sizes[..] {
            [rows, columns] => Ok((rows, columns)),
            _ => Err(DatasetError::format(
                stream.path(),
                format!("the sizes {:?} in `{name}`", self.sizes),
                "two sizes",
            )),
        }
    }

    /// The names of a 1×1 struct's fields; a matrix for each follows.
    pub(super) fn fields(
        &self,
        stream: &mut Stream<'_>,
        left: &mut u64,
        name: &str,
    ) -> Result<Vec<String>, DatasetError> {
        if self.class != CLASS_STRUCT || self.sizes != [1, 1] {
            let found = format!("class {} and sizes {:?} of `{name}`", self.class, self.sizes);
            return Err(DatasetError::format(stream.path(), found, "a struct (class 2) of sizes [1, 1]"));
        }
        let (_, length) = stream.bytes(left, 4, "the length of field names")?;
        let length = stream.words(&length).next().unwrap_or(0);
        if !(1..=MAX_NAME_BYTES).contains(&length.into()) {
            let found = format!("field names of {length} bytes in `{name}`");
            return Err(DatasetError::format(stream.path(), found, format!("1 to {MAX_NAME_BYTES}")));
        }
        let (_, names) = stream.bytes(left, MAX_NAME_BYTES * MAX_FIELDS, "field names")?;
        let names = names.chunks(length as usize).map(|field| {
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).into_owned()
        });
        Ok(names.collect())
    }

    /// Hands the numbers of a matrix to `sink`, column after column. MATLAB may store them in a
    /// smaller type than they have; they must be whole and not negative.
    pub(super) fn numbers(
        &self,
        stream: &mut Stream<'_>,
        left: &mut u64,
        name: &str,
        sink: &mut dyn FnMut(u32) -> Result<(), DatasetError>,
    ) -> Result<(), DatasetError> {
        let element = stream.element(left)?;
        let count = self.sizes.iter().try_fold(1, |count: u64, size| count.checked_mul((*size).into()));
        let count = count.unwrap_or(u64::MAX);
        let width = match element.kind {
            1 | 2 => 1,
            3 | 4 => 2,
            5..=7 => 4,
            9 | 12 | 13 => 8,
            _ => 0,
        };
        if width == 0 || self.complex || count.checked_mul(width) != Some(element.size) {
            let found = format!("{} bytes of type {} in `{name}`", element.size, element.kind);
            return Err(DatasetError::format(stream.path(), found, format!("{count} real numbers")));
        }
        let (path, big_endian) = (stream.path(), stream.big_endian());
        stream.payload(&element, left, &mut |part| {
            for bytes in part.chunks_exact(width as usize) {
                let number = number(element.kind, bytes, big_endian);
                sink(number.ok_or_else(|| {
                    DatasetError::format(
                        path,
                        format!("the bytes {bytes:02x?} in `{name}`"),
                        "a whole number from 0",
                    )
                })?)?;
            }
            Ok(())
        })
    }
}

/// A number of a MATLAB storage type, if it is whole and fits.
fn number(kind: u32, bytes: &[u8], big_endian: bool) -> Option<u32> {
    let mut word = [0; 8];
    for (place, byte) in word.iter_mut().zip(bytes) {
        *place = *byte;
    }
    if big_endian {
        word[..bytes.len()].reverse();
    }
    let unsigned = u64::from_le_bytes(word);
    let [a, b, c, d, ..] = word;
    let float = match kind {
        7 => f64::from(f32::from_le_bytes([a, b, c, d])),
        9 => f64::from_le_bytes(word),
        // A signed number has the sign in its highest bit.
        1 | 3 | 5 | 12 if unsigned >> (8 * bytes.len() - 1) != 0 => return None,
        _ => return u32::try_from(unsigned).ok(),
    };
    let whole = float as u32;
    (f64::from(whole) == float).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type() {
        assert_eq!(number(9, &47.0_f64.to_le_bytes(), false), Some(47));
        assert_eq!(number(7, &47.0_f32.to_be_bytes(), true), Some(47));
        assert_eq!(number(2, &[255], false), Some(255));
        assert_eq!(number(1, &[255], false), None);
        assert_eq!(number(3, &[0, 47], true), Some(47));
        assert_eq!(number(12, &47_i64.to_be_bytes(), true), Some(47));
        assert_eq!(number(12, &(-1_i64).to_le_bytes(), false), None);
        assert_eq!(number(13, &u64::MAX.to_le_bytes(), false), None);
        for odd in [0.5, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(number(9, &odd.to_le_bytes(), false), None, "{odd}");
        }
    }
}
