//! The Redis of the manifests, run for real: what functions may do there is what they do.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;

use openfaas::stack::Stack;
use scenarios::{Data, Place, Platform, eventually, stack_with};
use serde_json::json;
use sgd_lib::store::{RedisStore, Store as _};

use crate::manifest::{self, text};
use crate::redis_pod::{RedisPod, password};

const BOTH: [&str; 2] = ["redis/global.yaml", "redis/local.yaml"];

/// What only `downpour doctor` asks is in this file; it makes do with what its user may ask.
const DOCTOR: &str = "server.rs";

/// Commands that open a connection, or that `downpour doctor` gives.
const BESIDE_THE_STORE: [&str; 5] = ["auth", "hello", "select", "ping", "info"];

/// The commands that users.acl allows the default user, which functions are.
fn allowed() -> BTreeSet<String> {
    let config = manifest::of("redis/config.yaml");
    let users = text(&config[0].value["data"]["users.acl"]);
    let functions = users.lines().find(|line| line.starts_with("user default ")).unwrap();
    functions.split_whitespace().filter_map(|word| word.strip_prefix('+')).map(str::to_owned).collect()
}

/// The commands in the text of a source file: `cmd("X")`, and `redis.call('X'` in scripts.
fn commands_in(source: &str) -> Vec<String> {
    let named = |before: &str, quote: char| -> Vec<String> {
        let rests = source.split(before).skip(1);
        rests.filter_map(|rest| rest.split(quote).next()).map(str::to_lowercase).collect()
    };
    // Of the streams' information, one kind is all that is asked for.
    let all = [named("cmd(\"", '"'), named("redis.call('", '\'')].concat().into_iter();
    all.map(|name| if name == "xinfo" { "xinfo|stream".to_owned() } else { name }).collect()
}

fn commands_of_the_store(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(commands_of_the_store(&path));
        } else if !path.ends_with(DOCTOR) {
            found.extend(commands_in(&fs::read_to_string(path).unwrap()));
        }
    }
    found
}

#[test]
fn functions_may_give_the_commands_that_the_store_gives_and_no_other() {
    let mut wanted =
        commands_of_the_store(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../sgd-lib/src/store/redis"));
    assert!(wanted.contains("xadd") && wanted.contains("set"), "{wanted:?}");
    wanted.extend(BESIDE_THE_STORE.map(str::to_owned));
    assert_eq!(allowed(), wanted, "users.acl in deploy/redis/config.yaml and sgd-lib/src/store/redis differ");
}

/// The words of a user's rule that say what it may touch and do.
fn permissions(rule: &str) -> Vec<&str> {
    rule.split_whitespace().filter(|word| word.starts_with(['~', '+', '&', '-', '%'])).collect()
}

#[test]
fn the_rule_that_is_told_is_that_of_the_manifests() {
    let told = include_str!("../../../SECURITY.md").lines();
    let told = told.filter_map(|line| line.trim().strip_prefix("ACL SETUSER downpour ")).collect::<Vec<_>>();
    let config = manifest::of("redis/config.yaml");
    let users = text(&config[0].value["data"]["users.acl"]);
    let functions = users.lines().find(|line| line.starts_with("user default ")).unwrap();
    let [told] = told[..] else { panic!("SECURITY.md tells {} rules", told.len()) };
    assert!(told.starts_with("reset on >PASSWORD "), "{told}");
    assert_eq!(permissions(told), permissions(functions));
}

#[test]
fn everybody_gets_what_is_theirs() {
    for file in BOTH {
        let redis = RedisPod::start(file);
        let (functions, admin) = (password("redis-password"), password("redis-admin-password"));
        let as_function = |command: &[&str]| redis.ask("default", &functions, command);
        assert_eq!(as_function(&["SET", "dp:x", "1"]), "OK", "{file}");
        for command in [
            &["SET", "x", "1"][..],
            &["GET", "x"],
            &["EVAL", "return redis.call('GET', 'x')", "0"],
            &["EVAL", "return redis.call('FLUSHALL')", "0"],
            &["FLUSHALL"],
            &["KEYS", "*"],
            &["CONFIG", "GET", "*"],
            &["ACL", "LIST"],
            &["CLIENT", "LIST"],
            &["SCRIPT", "FLUSH"],
            &["FUNCTION", "LIST"],
            &["SHUTDOWN", "NOSAVE"],
            &["REPLICAOF", "example.com", "6379"],
            &["MODULE", "LOAD", "/x.so"],
            &["MONITOR"],
            &["SAVE"],
            &["SUBSCRIBE", "x"],
        ] {
            let answer = as_function(command);
            let refusals = [
                "NOPERM",
                "ACL failure",
                "can't access at least one of the keys",
                "can't run this command",
                "command not allowed",
            ];
            assert!(refusals.iter().any(|why| answer.contains(why)), "{file}: {command:?}: {answer}");
        }
        assert!(redis.ask("default", "wrong", &["PING"]).contains("NOAUTH"), "{file}");
        assert_eq!(redis.ask("probe", "probe", &["PING"]), "PONG", "{file}");
        assert!(redis.ask("probe", "probe", &["GET", "dp:x"]).contains("NOPERM"), "{file}");
        let setting = |name: &str| redis.ask("admin", &admin, &["CONFIG", "GET", name]).replace('\n', " ");
        let lasts = if file == "redis/global.yaml" { "yes" } else { "no" };
        assert_eq!(setting("appendonly"), format!("appendonly {lasts}"));
        assert_eq!(setting("maxmemory-policy"), "maxmemory-policy noeviction");
        assert_ne!(setting("maxmemory"), "maxmemory 0");
    }
}

#[test]
fn with_a_certificate_it_speaks_tls_and_its_probes_go_on() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let secret = [("/run/tls/tls.crt", &*certificate), ("/run/tls/tls.key", &*key)];
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redis = RedisPod::with_secret("redis/global.yaml", &["--tls-port", &port.to_string()], &secret);
    assert!(redis.probe("livenessProbe") && redis.probe("readinessProbe"));
    let store = RedisStore::open(&format!("rediss://localhost:{port}")).unwrap();
    let store = store.with_password(password("redis-password"));
    let store = store.with_authorities("tls.crt", certificate.as_bytes()).unwrap();
    assert!(store.runs().unwrap().is_empty());
}

#[test]
fn one_that_loads_its_log_lives_but_is_not_ready_and_has_lost_nothing() {
    let mut redis = RedisPod::start("redis/global.yaml");
    let fill = "for i = 1, 10000 do redis.call('SET', 'dp:' .. i, 'x') end return redis.call('DBSIZE')";
    let admin = password("redis-admin-password");
    assert_eq!(redis.ask("admin", &admin, &["EVAL", fill, "0"]), "10000");
    redis.crash_and_restart(&["--key-load-delay", "200"]);
    eventually("Redis loads its log", || {
        (redis.probe("livenessProbe") && !redis.probe("readinessProbe")).then_some(())
    });
    eventually("Redis is ready again", || redis.probe("readinessProbe").then_some(()));
    assert_eq!(redis.ask("admin", &admin, &["DBSIZE"]), "10000");
}

#[test]
fn an_empty_password_opens_nothing() {
    let script = &manifest::of("redis/config.yaml")[0].value["data"]["start.sh"];
    let folder = tempfile::TempDir::new().unwrap();
    let here = folder.path().to_str().unwrap();
    fs::write(folder.path().join("redis-password"), "\n").unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", &text(script).replace("/run/secrets/redis", here)])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "error: the secret redis-password is empty\n");
}

/// Everything that functions and the command line do with a store, as the user that functions are.
#[test]
fn a_network_is_trained_and_its_run_deleted_and_nothing_was_refused() {
    let redis = RedisPod::start("redis/global.yaml");
    let (password, admin) = (password("redis-password"), password("redis-admin-password"));
    let mut platform = Platform::with_redis(Place::new(), &stack_with(&[]), &redis.url());
    // For tests and commands that take no secret.
    platform.store_url = format!("{}?pass={password}", redis.url());
    platform.put_secret("redis-password", &password);
    let secret = |name: &str| (name == "STORE_SECRET").then(|| "redis-password".to_owned());
    platform.deploy(&Stack::parse(&stack_with(&[]), secret).unwrap());

    let data = Data::find();
    let (place, url) = (&platform.place, platform.store_url.clone());
    let mut push = place.command(&["data", "push", data.folder(), "--json", "--store-url", &redis.url()]);
    push.env("store_password_secret", "redis-password").env("secret_mount_path", redis.secrets());
    assert!(push.output().unwrap().status.success());

    let settings = json!({
        "data_dir": data.folder(), "dataset_source": "store", "number_of_workers": 2,
        "iterations": 1, "target_accuracy": "none",
    });
    let run = platform.set_up(&settings);
    let status = platform.await_end(&run);
    assert!(status.is_over());
    for command in [&["runs"][..], &["status"], &["report"], &["export"], &["delete", run.name()]] {
        place.downpour(&[command, &["--store-url", &url]].concat()).succeeded();
    }
    let refused = redis.ask("admin", &admin, &["ACL", "LOG"]);
    assert_eq!(refused, "", "Redis refused something");
    let used = redis.ask("admin", &admin, &["INFO", "commandstats"]);
    assert!(used.contains("cmdstat_eval:") && used.contains("cmdstat_xread:"), "{used}");
}
