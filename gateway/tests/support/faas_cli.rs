//! What `faas-cli` sends a remote builder, byte for byte: Go's tar writer, and the signature.

#![allow(dead_code, reason = "unit tests sign nothing")]
#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// An entry of a tar.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
    /// `0` a file, `5` a folder, `2` a link.
    pub(crate) kind: u8,
    pub(crate) link: String,
}

/// A file.
pub(crate) fn file(name: &str, content: &str) -> Entry {
    Entry { name: name.into(), content: content.into(), mode: 0o644, kind: b'0', link: String::new() }
}

/// A folder.
pub(crate) fn folder(name: &str) -> Entry {
    Entry { mode: 0o700, kind: b'5', ..file(name, "") }
}

/// The last entry of what builds `image`.
pub(crate) fn config(image: &str) -> Entry {
    let text = format!(r#"{{"image":"{image}","buildArgs":{{"ADDITIONAL_PACKAGE":""}}}}"#);
    Entry { mode: 0o664, ..file("com.openfaas.docker.config", &text) }
}

/// A whole tar.
pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        tar.extend_from_slice(&header(entry));
        tar.extend_from_slice(&entry.content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// The header in USTAR format. The configuration has neither time nor owner.
fn header(entry: &Entry) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    let (time, owner) =
        if entry.name.starts_with("context") { (0o15_301_342_331_u64, "root") } else { (0, "") };
    put(0, &entry.name);
    put(100, &format!("{:07o}", entry.mode));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", entry.content.len()));
    put(136, &format!("{time:011o}"));
    put(148, "        ");
    put(156, std::str::from_utf8(&[entry.kind]).unwrap());
    put(157, &entry.link);
    put(257, "ustar\x0000");
    put(265, owner);
    put(297, owner);
    put(329, "0000000");
    put(337, "0000000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// The value of `X-Build-Signature`.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut signature = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    signature.update(body);
    let digest = signature.finalize().into_bytes();
    digest.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
