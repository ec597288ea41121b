//! The tar that a build comes in: read to its end and checked before anything of it is used.
//!
//! `faas-cli` follows links when it makes a context, so there are only files and folders in one; anything else is
//! refused, and so is a name that could lead out of the folder that it is unpacked into.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use openfaas::build::{BuildConfig, CONFIG_FILE, CONTEXT, SECRETS_FILE};
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

use crate::digest::{self, Sha256Digest, hex};

/// Files and folders that a context may have.
const ENTRY_LIMIT: usize = 20_000;
/// Bytes that the configuration may have.
const CONFIG_LIMIT: u64 = 1 << 20;
/// Bytes that a path may have, as in Linux.
const PATH_LIMIT: usize = 4096;

/// Why a tar is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("cannot read the tar: {0}")]
    Read(#[from] io::Error),
    #[error(
        "the tar has more than {ENTRY_LIMIT} entries, with the folders that lead to them: is there a folder in the context that does not belong there?"
    )]
    TooMany,
    #[error("the tar's entry {0:?} is not {CONTEXT}/ and a path inside of it, nor {CONFIG_FILE}")]
    Outside(String),
    #[error("the tar's entry {0:?} is neither a file nor a folder")]
    Kind(String),
    #[error("the tar has the entry {0:?} twice, or as a file and a folder")]
    Twice(String),
    #[error("build secrets are not supported: remove build_secrets from the function")]
    Secrets,
    #[error("the tar has no entry {CONFIG_FILE}")]
    NoConfig,
    #[error("the tar's entry {CONFIG_FILE}: {0}")]
    Config(String),
}

/// What there is at a path of the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Folder,
    File { executable: bool, digest: Sha256Digest },
}

/// What a tar holds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) config: BuildConfig,
    /// By path below the context; the context itself is not among them, every folder of a file is.
    pub(crate) nodes: BTreeMap<PathBuf, Node>,
}

impl Contents {
    /// Reads all of a tar.
    pub(crate) fn read(tar: impl Read) -> Result<Self, ArchiveError> {
        let (mut nodes, mut config) = (BTreeMap::new(), None);
        each_entry(tar, |entry| -> Result<(), ArchiveError> {
            match entry {
                Entry::Config(text) => config = Some(text),
                Entry::Folder(path) => add(&mut nodes, path, Node::Folder)?,
                Entry::File { path, executable, content } => {
                    let digest = digest::of_reader(content)?;
                    add(&mut nodes, path, Node::File { executable, digest })?;
                }
            }
            Ok(())
        })?;
        let config = config.ok_or(ArchiveError::NoConfig)?;
        let config =
            serde_json::from_slice(&config).map_err(|error| ArchiveError::Config(error.to_string()))?;
        Ok(Self { config, nodes })
    }

    /// The digest of the context: of paths, contents and what may be executed, not of times and owners.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (path, node) in &self.nodes {
            let Node::File { executable, digest } = node else { continue };
            let path = path.as_os_str().as_encoded_bytes();
            hasher.update((path.len() as u64).to_le_bytes());
            hasher.update(path);
            hasher.update([u8::from(*executable)]);
            hasher.update(digest);
        }
        hex(&hasher.finalize())
    }
}

/// Adds a path and the folders that lead to it.
fn add(nodes: &mut BTreeMap<PathBuf, Node>, path: PathBuf, node: Node) -> Result<(), ArchiveError> {
    for folder in path.ancestors().skip(1).filter(|folder| *folder != Path::new("")) {
        if *nodes.entry(folder.to_owned()).or_insert(Node::Folder) != Node::Folder {
            return Err(ArchiveError::Twice(shown(&Path::new(CONTEXT).join(folder))));
        }
        // A path of 4 KiB can name two thousand folders, each of which takes memory.
        if nodes.len() > ENTRY_LIMIT {
            return Err(ArchiveError::TooMany);
        }
    }
    let folder = node == Node::Folder;
    match nodes.insert(path.clone(), node) {
        // A folder may have been known by what is in it.
        Some(before) if !folder || before != Node::Folder => {
            Err(ArchiveError::Twice(shown(&Path::new(CONTEXT).join(path))))
        }
        _ => Ok(()),
    }
}

/// An entry of a tar.
pub(crate) enum Entry<'a> {
    Config(Vec<u8>),
    /// Its path is below the context, as is a file's.
    Folder(PathBuf),
    File {
        path: PathBuf,
        executable: bool,
        content: &'a mut dyn Read,
    },
}

/// Hands the entries of a tar to `take`, one after another.
pub(crate) fn each_entry<E: From<ArchiveError>>(
    tar: impl Read,
    mut take: impl FnMut(Entry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for (count, entry) in Archive::new(tar).entries().map_err(ArchiveError::Read)?.enumerate() {
        if count >= ENTRY_LIMIT {
            return Err(ArchiveError::TooMany.into());
        }
        let mut entry = entry.map_err(ArchiveError::Read)?;
        if let Some(entry) = checked(&mut entry)? {
            take(entry)?;
        }
    }
    Ok(())
}

/// What an entry stands for; `None` for the context's folder itself.
fn checked<'a>(entry: &'a mut tar::Entry<'_, impl Read>) -> Result<Option<Entry<'a>>, ArchiveError> {
    let path = entry.path()?.into_owned();
    let kind = entry.header().entry_type();
    if path == Path::new(SECRETS_FILE) {
        return Err(ArchiveError::Secrets);
    }
    if path == Path::new(CONFIG_FILE) && kind == EntryType::Regular {
        return Ok(Some(Entry::Config(read_config(entry)?)));
    }
    let below = below_context(&path).ok_or_else(|| ArchiveError::Outside(shown(&path)))?;
    match (kind, below.as_os_str().is_empty()) {
        (EntryType::Directory, true) => Ok(None),
        (EntryType::Directory, false) => Ok(Some(Entry::Folder(below))),
        (EntryType::Regular, false) => {
            let executable = entry.header().mode()? & 0o111 != 0;
            Ok(Some(Entry::File { path: below, executable, content: entry }))
        }
        _ => Err(ArchiveError::Kind(shown(&path))),
    }
}

fn read_config(entry: &mut impl Read) -> Result<Vec<u8>, ArchiveError> {
    let mut config = Vec::new();
    entry.take(CONFIG_LIMIT + 1).read_to_end(&mut config)?;
    if config.len() as u64 > CONFIG_LIMIT {
        return Err(ArchiveError::Config(format!("has more than {CONFIG_LIMIT} bytes")));
    }
    Ok(config)
}

/// The path below the context's folder; `None` for one that is not there.
fn below_context(path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix(CONTEXT).ok()?;
    let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
    let bytes = below.as_os_str().as_encoded_bytes();
    (plain && bytes.len() <= PATH_LIMIT && !bytes.contains(&0)).then(|| below.components().collect())
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().chars().take(200).collect()
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
