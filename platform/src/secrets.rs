//! The secrets that are mounted into a function, one file each.

use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where OpenFaaS mounts them, unless the variable `secret_mount_path` names another folder.
const FOLDER: &str = "/var/openfaas/secrets";

/// No secret is longer than this, in bytes: Kubernetes' own limit.
const MAX_SECRET: usize = 1 << 20;

/// A secret that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The name is none.
    #[error(
        "the secret's name is {0:?}, wanted at most 253 of a-z, 0-9, - and ., the first a letter or digit"
    )]
    Name(String),
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too long.
    #[error("{}: found more than {MAX_SECRET} bytes, wanted a secret", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// The text of a secret, without the line feed at its end.
///
/// # Errors
/// A name that is none; a file that can't be read, is too long or isn't UTF-8.
pub fn read(name: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, SecretError> {
    if !is_name(name) {
        return Err(SecretError::Name(name.chars().take(60).collect()));
    }
    let folder = lookup("secret_mount_path").filter(|folder| !folder.is_empty());
    let path = Path::new(folder.as_deref().unwrap_or(FOLDER)).join(name);
    let mut text = String::new();
    let file = std::fs::File::open(&path);
    // One byte more than allowed shows that there is too much.
    match file.and_then(|file| file.take(MAX_SECRET as u64 + 1).read_to_string(&mut text)) {
        Err(source) => return Err(SecretError::Read { path, source }),
        Ok(length) if length > MAX_SECRET => return Err(SecretError::TooLong { path }),
        Ok(_) => {}
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// Whether this can be a secret's name: never a path that leads out of the folder.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= 253
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_mounted_file_and_names_one_that_is_missing() {
        let folder = std::env::temp_dir().join(format!("secrets-test-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lookup = |name: &str| (name == "secret_mount_path").then(|| folder.display().to_string());
        std::fs::write(folder.join("redis-password"), "hush\n\n").unwrap();
        assert_eq!(read("redis-password", lookup).unwrap(), "hush\n");
        std::fs::write(folder.join("big"), vec![b'x'; MAX_SECRET + 1]).unwrap();
        let big = read("big", lookup).unwrap_err().to_string();
        let path = folder.join("big");
        assert_eq!(big, format!("{}: found more than 1048576 bytes, wanted a secret", path.display()));
        std::fs::write(folder.join("binary"), [0xff]).unwrap();
        assert!(
            read("binary", lookup)
                .unwrap_err()
                .to_string()
                .contains("binary: stream did not contain valid UTF-8")
        );
        std::fs::remove_dir_all(&folder).unwrap();
        let missing = read("none", |_| None).unwrap_err().to_string();
        assert_eq!(missing, "/var/openfaas/secrets/none: No such file or directory (os error 2)");
    }

    #[test]
    fn a_name_stays_in_the_folder() {
        for name in ["", "..", "../x", "a/b", "A", ".hidden", &"a".repeat(254)] {
            assert!(matches!(read(name, |_| None), Err(SecretError::Name(_))), "{name}");
        }
        let message = read("..", |_| None).unwrap_err().to_string();
        assert_eq!(
            message,
            "the secret's name is \"..\", wanted at most 253 of a-z, 0-9, - and ., the first a letter or digit"
        );
    }
}
