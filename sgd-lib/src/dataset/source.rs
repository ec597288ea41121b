//! Finding a data set's files in a folder.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{DatasetError, Name, Transpose, header::FORMAT_VERSION};

/// No data set's name is longer.
pub(crate) const MAX_NAME_BYTES: usize = 100;

/// The files of one data set, as found in a folder.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    known: Option<Name>,
    files: Files,
}

/// In which form the data set is there.
#[derive(Clone, Debug)]
pub(crate) enum Files {
    /// Four IDX files, gzip or plain, in the order of [`SLOTS`], and the mapping where there is one.
    Idx { files: [PathBuf; 4], mapping: Option<PathBuf> },
    /// One MATLAB file.
    Mat(PathBuf),
}

/// What the four IDX files hold, as errors say it and as they are named.
const SLOTS: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "test-images-idx3-ubyte",
    "test-labels-idx1-ubyte",
];

/// The ends of IDX files' names, without `.gz`, and the slot of each.
const ENDS: [(&str, usize); 12] = [
    ("train-images-idx3-ubyte", 0),
    ("train-images.idx3-ubyte", 0),
    ("train-labels-idx1-ubyte", 1),
    ("train-labels.idx1-ubyte", 1),
    ("test-images-idx3-ubyte", 2),
    ("test-images.idx3-ubyte", 2),
    ("t10k-images-idx3-ubyte", 2),
    ("t10k-images.idx3-ubyte", 2),
    ("test-labels-idx1-ubyte", 3),
    ("test-labels.idx1-ubyte", 3),
    ("t10k-labels-idx1-ubyte", 3),
    ("t10k-labels.idx1-ubyte", 3),
];

/// The files in a folder that have the same prefix: one data set, perhaps in both forms.
#[derive(Default)]
struct Group {
    idx: [Vec<PathBuf>; 4],
    mats: Vec<PathBuf>,
}

impl Source {
    /// The data set's name: a published one where the file names (or the folder's) say so,
    /// else the files' prefix or the folder's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The published data set that this is, where it is one.
    pub fn known(&self) -> Option<Name> {
        self.known
    }

    /// The files that will be read.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let (files, mapping): (&[PathBuf], _) = match &self.files {
            Files::Idx { files, mapping } => (files, mapping.as_ref()),
            Files::Mat(file) => (std::slice::from_ref(file), None),
        };
        files.iter().chain(mapping).map(PathBuf::as_path)
    }

    /// Whether the files hold their images transposed.
    pub fn transposed(&self, transpose: Transpose) -> bool {
        match &self.files {
            Files::Idx { files: [images, ..], .. } => transpose.of_idx(&file_name(images)),
            Files::Mat(_) => transpose.of_mat(),
        }
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// What the cache of these files is called: the same for the same paths, whatever they hold.
    pub(crate) fn cache_name(&self, transpose: Transpose) -> Result<String, DatasetError> {
        let mut hash = Xxh3::new();
        for path in self.paths() {
            let path = fs::canonicalize(path).map_err(DatasetError::io(path, "find"))?;
            hash.update(path.as_os_str().as_bytes());
            hash.update(&[0]);
        }
        hash.update(&[self.transposed(transpose).into()]);
        Ok(format!("{}-{:016x}.u8", self.name, hash.digest()))
    }

    /// Changes with the files' names, sizes and times of change, and with how they are read.
    pub(crate) fn fingerprint(&self, transpose: Transpose) -> Result<u64, DatasetError> {
        let mut text = format!("{FORMAT_VERSION} {} {:?}", self.transposed(transpose), self.known);
        for path in self.paths() {
            let metadata = fs::metadata(path).map_err(DatasetError::io(path, "read the size and time of"))?;
            let modified = metadata.modified().map_err(DatasetError::io(path, "read the time of"))?;
            let time = match modified.duration_since(UNIX_EPOCH) {
                Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
                Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
            };
            text += &format!("\n{:?} {} {time}", path.file_name(), metadata.len());
        }
        Ok(xxh3_64(text.as_bytes()))
    }
}

/// Finds the data set in `folder`: four IDX files with any prefix, gzip or plain, or one `.mat` file
/// (`folder` may also be that file itself). Where a data set is there in both forms, IDX is taken.
///
/// # Errors
/// There is none (or not the one named `name`), there are several and no `name` says which, or one of
/// the four files is missing: the error lists what is there or missing.
pub fn find(folder: &Path, name: Option<Name>) -> Result<Source, DatasetError> {
    let mut groups = list(folder)?;
    let found = || {
        let names: Vec<_> = groups.keys().map(|prefix| label(folder, prefix)).collect();
        if names.is_empty() { "no data set's files".to_owned() } else { names.join(" and ") }
    };
    let prefix = match name {
        Some(name) => {
            prefixes_of(folder, name).into_iter().find(|prefix| groups.contains_key(prefix)).ok_or_else(
                || DatasetError::NotFound { folder: folder.to_owned(), found: found(), wanted: wanted(name) },
            )?
        }
        None if groups.len() > 1 => {
            return Err(DatasetError::Ambiguous {
                folder: folder.to_owned(),
                found: groups.keys().map(|prefix| label(folder, prefix)).collect(),
                wanted: "name the one that is meant",
            });
        }
        None => groups.keys().next().cloned().ok_or_else(|| DatasetError::NotFound {
            folder: folder.to_owned(),
            found: found(),
            wanted: "[NAME-]train-images-idx3-ubyte[.gz] and its three siblings, or one NAME.mat".to_owned(),
        })?,
    };
    let label = label(folder, &prefix);
    let known = name.or_else(|| label.parse().ok());
    let group = groups.remove(&prefix).unwrap_or_default();
    let files = choose(folder, &prefix, &label, group)?;
    Ok(Source { name: known.map_or_else(|| clean(&label), |name| name.to_string()), known, files })
}

/// Whether a character may stand in a data set's name, which becomes part of file names and keys.
pub(crate) fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_.".contains(character)
}

/// Makes a name of whatever a file or folder is called.
fn clean(label: &str) -> String {
    let name: String = label
        .chars()
        .map(|character| if is_name_character(character) { character } else { '-' })
        .take(MAX_NAME_BYTES)
        .collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// The files that a data set of this name may consist of, for an error.
fn wanted(name: Name) -> String {
    let published = name.published();
    let mat = if published.transposed { format!(", or {name}.mat") } else { String::new() };
    format!("{name}: {}{mat}", published.files.join(", "))
}

/// Groups the files of a folder by prefix.
fn list(folder: &Path) -> Result<BTreeMap<String, Group>, DatasetError> {
    let mut groups = BTreeMap::<String, Group>::new();
    let mut sort = |path: PathBuf| {
        let file = file_name(&path);
        if let Some(stem) = file.strip_suffix(".mat") {
            groups.entry(mat_prefix(stem)).or_default().mats.push(path);
        } else if let Some((prefix, slot)) = idx_prefix(&file) {
            groups.entry(prefix.to_owned()).or_default().idx[slot].push(path);
        }
    };
    let failed = |error: io::Error| DatasetError::io(folder, "read the folder")(error);
    if folder.is_file() {
        sort(folder.to_owned());
        return Ok(groups);
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            sort(path);
        }
    }
    Ok(groups)
}

/// The prefix (with its dash) and the slot of an IDX file's name.
fn idx_prefix(file: &str) -> Option<(&str, usize)> {
    let stem = file.strip_suffix(".gz").unwrap_or(file);
    ENDS.iter().find_map(|(end, slot)| {
        let prefix = stem.strip_suffix(end)?;
        (prefix.is_empty() || prefix.ends_with('-')).then_some((prefix, *slot))
    })
}

/// The prefix under which a MATLAB file counts: `emnist-letters` and `emnist-letters-part` are EMNIST Letters.
fn mat_prefix(stem: &str) -> String {
    let known = Name::ALL
        .iter()
        .map(|name| name.as_str())
        .find(|name| stem.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')));
    format!("{}-", known.unwrap_or(stem))
}

/// The prefixes that a named data set's files may have. MNIST's and Fashion-MNIST's have none,
/// unless the folder says that they are something else.
fn prefixes_of(folder: &Path, name: Name) -> Vec<String> {
    let mut prefixes = vec![format!("{name}-")];
    let folder_name = folder_label(folder).parse::<Name>().ok();
    if !name.published().transposed && folder_name.is_none_or(|other| other == name) {
        prefixes.push(String::new());
    }
    prefixes
}

/// What a group of files is called.
fn label(folder: &Path, prefix: &str) -> String {
    if prefix.is_empty() { folder_label(folder) } else { prefix.trim_end_matches('-').to_owned() }
}

fn folder_label(folder: &Path) -> String {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    file_name(&folder)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Picks the files to read from a group.
fn choose(folder: &Path, prefix: &str, label: &str, group: Group) -> Result<Files, DatasetError> {
    let several = |paths: &[PathBuf], wanted| DatasetError::Ambiguous {
        folder: folder.to_owned(),
        found: paths.iter().map(|path| file_name(path)).collect(),
        wanted,
    };
    if group.idx.iter().all(Vec::is_empty) {
        return match <[PathBuf; 1]>::try_from(group.mats) {
            Ok([mat]) => Ok(Files::Mat(mat)),
            Err(mats) => Err(several(&mats, "give the path of the one that is meant")),
        };
    }
    let missing: Vec<_> = group.idx.iter().zip(SLOTS).filter(|(files, _)| files.is_empty()).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|(_, slot)| format!("{prefix}{slot}[.gz]")).collect();
        return Err(DatasetError::Incomplete {
            folder: folder.to_owned(),
            set: label.to_owned(),
            missing: names.join(", "),
        });
    }
    let mut files: [PathBuf; 4] = Default::default();
    for (slot, mut candidates) in files.iter_mut().zip(group.idx) {
        // The plain file and its gzip are the same; the plain one is faster to read.
        candidates.sort();
        candidates.dedup_by(|zipped, plain| file_name(zipped) == file_name(plain) + ".gz");
        *slot = match <[PathBuf; 1]>::try_from(candidates) {
            Ok([file]) => file,
            Err(files) => return Err(several(&files, "keep one of them")),
        };
    }
    let mapping = Some(folder.join(format!("{prefix}mapping.txt"))).filter(|path| path.is_file());
    Ok(Files::Idx { files, mapping })
}

#[cfg(test)]
mod tests;
