//! Finds an installed server that is new enough.

use std::io::ErrorKind;
use std::process::Command;

use crate::LocalRedisError;

/// In order of preference: valkey is the fork that some distributions ship instead.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// `XADD` with partly given ids, functions and multi-part append-only files came with it.
const OLDEST: (u32, &str) = (7, "7.0");

/// The name of an installed server of version 7.0 or newer.
pub(crate) fn find() -> Result<&'static str, LocalRedisError> {
    for program in PROGRAMS {
        match Command::new(program).arg("--version").output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                return check_version(program, &text).map(|()| program);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(LocalRedisError::Spawn { program, source }),
        }
    }
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    Err(LocalRedisError::NotInstalled { install: install_command(&os_release).to_owned() })
}

/// `text` is what `--version` prints: `Redis server v=7.0.15 sha=00000000:0 …`.
fn check_version(program: &'static str, text: &str) -> Result<(), LocalRedisError> {
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    match (version, major) {
        (Some(_), Some(major)) if major >= OLDEST.0 => Ok(()),
        (Some(version), Some(_)) => {
            Err(LocalRedisError::TooOld { program, found: version.to_owned(), wanted: OLDEST.1 })
        }
        _ => Err(LocalRedisError::UnknownVersion { program, found: text.trim().to_owned() }),
    }
}

/// The command for the system that `/etc/os-release` describes.
fn install_command(os_release: &str) -> &'static str {
    let names: Vec<&str> = os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    let is = |wanted: &[&str]| names.iter().any(|name| wanted.contains(name));
    if is(&["debian", "ubuntu"]) {
        "apt-get install redis-server"
    } else if is(&["fedora", "rhel", "centos"]) {
        "dnf install redis"
    } else if is(&["arch"]) {
        "pacman -S valkey"
    } else if is(&["alpine"]) {
        "apk add redis"
    } else if cfg!(target_os = "macos") {
        "brew install redis"
    } else {
        "your package manager (the package is called redis, redis-server or valkey)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_redis_and_valkey_of_seven_and_newer() {
        assert!(check_version("redis-server", "Redis server v=7.0.15 sha=00000000:0 bits=64").is_ok());
        assert!(check_version("valkey-server", "Valkey server v=8.1.1 sha=00000000:1").is_ok());
        assert!(check_version("redis-server", "Redis server v=10.0.0").is_ok());
    }

    #[test]
    fn refuses_older_servers_and_says_what_is_wanted() {
        let error = check_version("redis-server", "Redis server v=6.2.7 sha=0").unwrap_err();
        assert_eq!(error.to_string(), "redis-server is version 6.2.7; 7.0 or newer is needed");
    }

    #[test]
    fn refuses_what_is_no_version() {
        let error = check_version("redis-server", "hello\n").unwrap_err();
        assert!(error.to_string().contains("\"hello\""), "{error}");
        assert!(check_version("redis-server", "Redis server v=new").is_err());
    }

    #[test]
    fn names_the_package_of_the_system() {
        assert_eq!(install_command("ID=debian\n"), "apt-get install redis-server");
        assert_eq!(
            install_command("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
            "apt-get install redis-server"
        );
        assert_eq!(install_command("NAME=Fedora\nID=fedora\n"), "dnf install redis");
    }
}
