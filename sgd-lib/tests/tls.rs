//! A Redis under TLS: who is believed, who is not, and what is said then. That everything else works there as
//! anywhere, `store.rs` tests.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::time::Duration;

use local_redis::{LocalRedis, Options};
use sgd_lib::store::{RedisStore, Store, StoreError};
use support::authority::Authority;

/// So long that a test which only ends by it would be noticed.
const PATIENCE: Duration = Duration::from_secs(600);

fn store(url: &str, authority: &Authority) -> RedisStore {
    let store = RedisStore::open(url).unwrap().with_patience(PATIENCE);
    store.with_authorities("ca.pem", authority.pem().as_bytes()).unwrap()
}

/// What is said of the store that can't be trusted, after its address.
fn distrust(store: &RedisStore) -> String {
    let error = store.now_ms().unwrap_err();
    assert!(matches!(error, StoreError::Untrusted { .. }) && !error.is_transient(), "{error}");
    let text = error.to_string();
    let start = format!("store {}: no trusted connection: ", store.address());
    text.strip_prefix(&start).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn a_server_is_trusted_on_the_word_of_an_authority_of_ones_own() {
    let authority = Authority::new();
    let redis = authority.server(&[]);
    let store = store(redis.url(), &authority);
    assert!(store.is_encrypted());
    assert_eq!(store.address(), redis.url().strip_prefix("rediss://").unwrap());
    // More than TLS keeps in a buffer, or sends in a record.
    let long: Vec<u8> = (0..5_000_000_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
    store.create_blob("dp:long", &long, PATIENCE).unwrap();
    assert!(store.read_blob("dp:long").unwrap() == Some(long));
}

#[test]
fn a_server_of_another_authority_is_not_trusted() {
    let authority = Authority::new();
    let redis = authority.server(&[]);
    for other in [Authority::new(), Authority::named("another")] {
        let said = distrust(&store(redis.url(), &other));
        assert_eq!(said, "none of the authorities in ca.pem has signed its certificate");
    }
    let system = RedisStore::open(redis.url()).unwrap().with_patience(PATIENCE);
    assert!(distrust(&system).contains("this system"), "{}", distrust(&system));
}

#[test]
fn an_expired_certificate_and_one_for_another_host_are_not_trusted() {
    let authority = Authority::new();
    for (host, until, why) in [
        ("localhost", 2020, "certificate expired: verification time"),
        (
            "redis.example",
            4000,
            "certificate not valid for name \"localhost\"; certificate is only valid for DnsName(\"redis.example\")",
        ),
    ] {
        let transport = authority.transport(host, until);
        let redis = LocalRedis::start(Options { transport, ..Options::default() }).unwrap();
        let said = distrust(&store(redis.url(), &authority));
        assert!(said.starts_with(&format!("its certificate is refused: {why}")), "{said}");
    }
}

#[test]
fn a_server_without_tls_is_not_trusted() {
    let plain = LocalRedis::start(Options::default()).unwrap();
    let url = plain.url().replace("redis://", "rediss://");
    let error = store(&url, &Authority::new()).with_patience(Duration::ZERO).now_ms().unwrap_err();
    assert!(error.to_string().ends_with("; is it the port for TLS?"), "{error}");
}

#[test]
fn a_server_with_tls_tells_nothing_to_who_has_none() {
    let authority = Authority::new();
    let redis = authority.server(&[]);
    let url = redis.url().replace("rediss://", "redis://");
    let error = RedisStore::open(&url).unwrap().with_patience(Duration::ZERO).now_ms().unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
}

#[test]
fn authorities_are_certificates_and_for_tls() {
    let with = |url: &str, pem: &str| {
        let store = RedisStore::open(url).unwrap();
        store.with_authorities("ca.pem", pem.as_bytes()).err().unwrap().to_string()
    };
    let none = "ca.pem: found no certificate, wanted is one in PEM or several";
    assert_eq!(with("rediss://h", ""), format!("store h:6379: no trusted connection: {none}"));
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(
        with("rediss://h", bad).contains(": ca.pem: invalid peer certificate: "),
        "{}",
        with("rediss://h", bad)
    );
    let cut_off = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    assert!(with("rediss://h", cut_off).contains(": ca.pem: not PEM: "), "{}", with("rediss://h", cut_off));
    let plain = with("redis://h", &Authority::new().pem());
    assert!(plain.ends_with("ca.pem is for rediss://, and the address has no TLS"), "{plain}");
}

#[test]
fn who_may_not_is_told_what_and_as_whom() {
    let authority = Authority::new();
    let redis = authority.server(&["user trainer reset on >hush ~dp:* +get +exists +eval +xadd +hget"]);
    let url = redis.url().replace("rediss://", "rediss://trainer:hush@");
    let store = store(&url, &authority);
    assert_eq!(store.read_blob("dp:x").unwrap(), None);
    let refused = |error: StoreError| {
        let text = error.to_string();
        assert!(text.contains("(user trainer)") && !text.contains("hush"), "{text}");
        text
    };
    let command = refused(store.create_blob("dp:x", b"", PATIENCE).unwrap_err());
    assert!(command.contains(": SET was refused: NoPerm: "), "{command}");
    let key = refused(store.read_blob("x").unwrap_err());
    assert!(key.contains(": GET was refused: NoPerm: "), "{key}");
    let pipeline = refused(store.renew(&["dp:x".to_owned()], PATIENCE).unwrap_err());
    assert!(pipeline.contains(": PEXPIRE was refused: "), "{pipeline}");
    let write = sgd_lib::store::Write { key: "dp:x".into(), value: b"".into(), expected: 0 };
    let script = refused(store.write(&[write], None).unwrap_err());
    assert!(script.contains(": a compare-and-set was refused: "), "{script}");
    let wrong = RedisStore::open(&url.replace("hush", "wrong")).unwrap();
    let wrong = wrong.with_authorities("ca.pem", authority.pem().as_bytes()).unwrap().now_ms().unwrap_err();
    assert!(wrong.to_string().contains("WRONGPASS") && !wrong.to_string().contains(":wrong@"), "{wrong}");
}
