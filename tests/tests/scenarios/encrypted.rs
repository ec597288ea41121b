//! A Redis under TLS, whose user for training may do what training takes and nothing else; and nobody ever gets to
//! read a password.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use local_redis::{LocalRedis, Options, Transport};
use openfaas::stack::Stack;
use scenarios::{Data, Place, Platform, eventually, stack_with};
use serde_json::json;
use tempfile::TempDir;

use crate::passwords::{files_that_tell, tells};

/// No text has it by chance.
const PASSWORD: &str = "q7Zk-the-password-of-training-v2Xw";
const ADMIN: &str = "q7Zk-the-password-of-the-administrator-v2Xw";
const SECRETS: [&str; 2] = [PASSWORD, ADMIN];
const SECURITY: &str = include_str!("../../../SECURITY.md");

/// What SECURITY.md tells an administrator to enter, without its first two words.
fn rule() -> String {
    let line = SECURITY.lines().find_map(|line| line.trim().strip_prefix("ACL SETUSER "));
    line.unwrap().replace("PASSWORD", PASSWORD)
}

/// A server under TLS, with a certificate of its own and its users.
struct Redis {
    server: LocalRedis,
    folder: TempDir,
}

impl Redis {
    fn start() -> Self {
        let folder = TempDir::with_prefix("downpour-tls-").unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let [certificate, key] = ["redis.pem", "redis.key"].map(|file| folder.path().join(file));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let config = vec![
            // Whoever started it asks as this one whether it is there.
            "user default reset on nopass +ping +info".to_owned(),
            format!("user {}", rule()),
            format!("user admin reset on >{ADMIN} ~* &* +@all"),
        ];
        let transport = Transport::Tls { certificate, key };
        let server = LocalRedis::start(Options { transport, config, ..Options::default() }).unwrap();
        Self { server, folder }
    }

    /// Its address as the user for training has it, whose password is in a secret.
    fn url(&self) -> String {
        self.server.url().replace("rediss://", "rediss://downpour@")
    }

    /// Its address for whoever may do everything.
    fn url_of_admin(&self) -> String {
        let socket = self.server.dir().join("redis.sock");
        format!("redis+unix://{}?user=admin&pass={ADMIN}", socket.display())
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("redis.pem")
    }

    /// What it answers to a user's command under TLS.
    fn ask(&self, user: &str, password: &str, command: &[&str]) -> String {
        let url = format!("rediss://{}", self.server.url().strip_prefix("rediss://").unwrap());
        let output = Command::new("redis-cli")
            .args(["-u", &url, "--no-auth-warning", "--user", user, "--pass", password, "--cacert"])
            .arg(self.certificate())
            .args(command)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }
}

/// A platform whose functions use that Redis, by its secrets.
fn platform(redis: &Redis) -> Platform {
    let stack = stack_with(&[]);
    let mut platform = Platform::with_redis(Place::new().talkative(), &stack, &redis.url());
    platform.store_url = redis.url_of_admin();
    platform.put_secret("redis-password", PASSWORD);
    platform.put_secret("redis-ca", &fs::read_to_string(redis.certificate()).unwrap());
    let secret = |name: &str| match name {
        "STORE_SECRET" => Some("redis-password".to_owned()),
        "STORE_CA_SECRET" => Some("redis-ca".to_owned()),
        _ => None,
    };
    let stack = stack.replace("secrets: [${STORE_SECRET:-}]", "secrets: [redis-password, redis-ca]");
    let replicas = |platform: &Platform| {
        platform.replicas("emnist-setup").into_iter().chain(platform.replicas("emnist-train"))
    };
    let without_secrets: Vec<_> = replicas(&platform).map(|replica| replica.id).collect();
    platform.deploy(&Stack::parse(&stack, secret).unwrap());
    eventually("the replicas without secrets are gone", || {
        replicas(&platform).all(|replica| !without_secrets.contains(&replica.id)).then_some(())
    });
    platform
}

#[test]
fn a_network_is_trained_under_tls_by_a_user_who_may_do_nothing_else_and_no_password_is_told() {
    let redis = Redis::start();
    let as_admin = |command: &[&str]| redis.ask("admin", ADMIN, command);
    assert_eq!(as_admin(&["SET", "other", "untouched"]), "OK");
    let (platform, data) = (platform(&redis), Data::find());
    let settings = json!({
        "data_dir": data.folder(), "dataset_source": "store", "number_of_workers": 2,
        "iterations": 1, "target_accuracy": "none",
    });
    let run = platform.set_up(&settings);
    assert!(platform.await_end(&run).is_over());

    let place = &platform.place;
    let password = place.write("password", format!("{PASSWORD}\n").as_bytes());
    let certificate = redis.certificate();
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    let access = [
        "--store-url",
        &redis.url(),
        "--store-password-file",
        &file(&password),
        "--store-ca-file",
        &file(&certificate),
    ];
    for command in [&["runs"][..], &["status"], &["report"], &["export"], &["delete", run.name()]] {
        let finished = place.downpour(&[command, &access].concat());
        assert!(!tells(finished.stderr.as_bytes(), &SECRETS), "{}", finished.stderr);
        assert!(!tells(finished.succeeded().as_bytes(), &SECRETS), "{command:?}");
    }
    assert_eq!(as_admin(&["ACL", "LOG"]), "", "Redis refused something");
    let keys = as_admin(&["KEYS", "*"]);
    let foreign: Vec<&str> = keys.lines().filter(|key| !key.starts_with("dp:")).collect();
    assert_eq!((foreign, as_admin(&["GET", "other"])), (vec!["other"], "untouched".to_owned()));

    let log = platform.logs("emnist-setup");
    assert!(log.contains("TRACE"), "{log}");
    // In what functions said, in what `up` said, and in every file of the state folder but the two secrets.
    let (place, ended) = platform.down();
    let said = [ended.stdout, ended.stderr].concat();
    assert!(said.contains("TRACE") && !tells(said.as_bytes(), &SECRETS), "{said}");
    let expected = [place.path("password"), place.path("state/gateway/secrets/redis-password")];
    let mut telling = files_that_tell(&place.path(""), &SECRETS);
    telling.sort();
    assert_eq!(telling, expected);
}

#[test]
fn that_user_touches_nothing_else() {
    let redis = Redis::start();
    assert_eq!(redis.ask("admin", ADMIN, &["SET", "other", "untouched"]), "OK");
    for command in [
        &["GET", "other"][..],
        &["SET", "other", "x"],
        &["UNLINK", "other"],
        &["EVAL", "return redis.call('SET', 'other', 'x')", "0"],
        &["CONFIG", "GET", "*"],
        &["CONFIG", "SET", "dir", "/tmp"],
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["KEYS", "*"],
        &["ACL", "SETUSER", "downpour", "+@all"],
        &["SHUTDOWN", "NOSAVE"],
        &["MONITOR"],
        &["SCRIPT", "FLUSH"],
        &["PUBLISH", "x", "y"],
    ] {
        let answer = redis.ask("downpour", PASSWORD, command);
        let refused = ["NOPERM", "can't access at least one of the keys", "No permissions to access a key"];
        assert!(refused.iter().any(|why| answer.contains(why)), "{command:?}: {answer}");
    }
    assert_eq!(redis.ask("admin", ADMIN, &["GET", "other"]), "untouched");
}

#[test]
fn a_redis_that_cannot_be_trusted_is_refused_by_every_command_with_the_reason() {
    let (redis, other, place) = (Redis::start(), Redis::start(), Place::new());
    let certificate = other.certificate();
    let access = ["--store-url", &redis.url(), "--store-ca-file", certificate.to_str().unwrap()];
    let said = place.downpour(&[&["runs"][..], &access].concat()).failed(1);
    let address = redis.server.url().strip_prefix("rediss://").unwrap();
    let wanted = format!(
        "error: store {address}: no trusted connection: none of the authorities in --store-ca-file {} has signed \
         its certificate\n",
        certificate.display()
    );
    assert_eq!(said, wanted);
}
