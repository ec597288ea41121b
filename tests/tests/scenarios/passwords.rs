//! The gateway's password: nobody gets to read it, whatever the programs are asked to say.

use std::fs;
use std::path::{Path, PathBuf};

use scenarios::{Data, Place, eventually};
use tempfile::TempDir;

/// No text has it by chance.
const PASSWORD: &str = "q7ZkThePasswordOfTheGatewayv2Xw";
/// What a client sends: `admin:` and the password in base64, without the end that depends on its length.
const SENT: &str = "YWRtaW46cTdaa1RoZVBhc3N3b3JkT2ZUaGVHYXRld2F5djJY";
const SECRETS: [&str; 2] = [PASSWORD, SENT];

/// Whether a text has one of these secrets in it.
pub(crate) fn tells(text: &[u8], secrets: &[&str]) -> bool {
    secrets.iter().any(|secret| text.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

/// Every file below a folder that has one of these secrets in it.
pub(crate) fn files_that_tell(folder: &Path, secrets: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(files_that_tell(&path, secrets));
        } else if kind.is_file() && tells(&fs::read(&path).unwrap(), secrets) {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_password_of_the_gateway_is_told_nowhere() {
    let (folder, place, data) = (TempDir::new().unwrap(), Place::new().talkative(), Data::find());
    fs::write(folder.path().join("basic-auth-user"), "admin\n").unwrap();
    fs::write(folder.path().join("basic-auth-password"), format!("{PASSWORD}\n")).unwrap();
    let auth = ["--basic-auth", folder.path().to_str().unwrap()];
    let mut up = place.background(&[&["up", "--port", "0", "--json"], &auth[..]].concat());
    let ready = eventually("the platform is ready", || {
        assert!(!up.has_ended(), "downpour up ended: {}", up.messages());
        up.lines().into_iter().next()
    });
    let (gateway, store) = (ready["gateway"].as_str().unwrap(), ready["store_url"].as_str().unwrap());
    let mut said = String::new();
    let at = ["--gateway", gateway];
    let train = ["train", "--store-url", store, "--data-dir", data.folder(), "--epochs", "1"];
    for command in [&train[..], &["logs", "emnist-train"], &["doctor", "--store-url", store]] {
        let finished = place.downpour(&[command, &at, &auth].concat());
        said += &finished.stderr;
        said += &finished.succeeded();
    }
    let other = TempDir::new().unwrap();
    for (file, text) in [("basic-auth-user", "admin"), ("basic-auth-password", &PASSWORD[1..])] {
        fs::write(other.path().join(file), text).unwrap();
    }
    let wrong = ["--basic-auth", other.path().to_str().unwrap()];
    said += &place.downpour(&[&["logs", "emnist-train"], &at[..], &wrong].concat()).failed(1);
    assert!(said.contains("401"), "{said}");
    place.downpour(&["down"]).succeeded();
    let ended = up.wait();
    said += &[ended.stdout, ended.stderr].concat();
    assert!(said.contains("TRACE") && !tells(said.as_bytes(), &SECRETS), "{said}");
    assert!(!tells(said.as_bytes(), &[&PASSWORD[1..]]), "the wrong one neither: {said}");
    assert_eq!(files_that_tell(&place.path(""), &SECRETS), Vec::<PathBuf>::new());
}
