//! SHA-256 of files, and how a digest is written.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// A SHA-256.
pub(crate) type Sha256Digest = [u8; 32];

/// The digest of what is left in `reader`.
pub(crate) fn of_reader(reader: &mut dyn Read) -> io::Result<Sha256Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The digest of a file's content.
pub(crate) fn of_file(path: &Path) -> io::Result<Sha256Digest> {
    of_reader(&mut File::open(path)?)
}

/// Two lower-case hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that [`hex`] wrote as `text`; `None` where it is something else.
pub(crate) fn from_hex(text: &str) -> Option<Sha256Digest> {
    let mut bytes = Sha256Digest::default();
    if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_written_and_read() {
        let digest = of_reader(&mut &b"abc"[..]).unwrap();
        let text = hex(&digest);
        assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(from_hex(&text), Some(digest));
        for wrong in
            ["", &text[1..], &text.replace('b', "g"), &text.replace("ba", "é"), &text.replace("ba", "+a")]
        {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
