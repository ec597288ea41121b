//! Which Redis is the master, as Sentinels know it.

use std::time::Duration;

use redis::{Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisConnectionInfo, RedisResult};

use super::tls::Tls;
use super::wire::Wire;

/// The master's name in an address of Sentinels: `redis://host:26379?sentinel=NAME`. A host with several addresses
/// is tried at each of them, so one name stands for all Sentinels.
pub(super) fn master_name(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let name = query.split('&').find_map(|pair| pair.strip_prefix("sentinel="));
    name.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Asks the Sentinel at `info` for the master's address. Password and database are the master's: a Sentinel has
/// neither.
///
/// # Errors
/// It does not answer, or knows no such master.
pub(super) fn master(
    info: &ConnectionInfo,
    name: &str,
    tls: Option<&Tls>,
    patience: Duration,
    timeout: Duration,
) -> RedisResult<ConnectionInfo> {
    let sentinel = info.clone().set_redis_settings(RedisConnectionInfo::default());
    let mut wire = Wire::connect(&sentinel, tls, patience, timeout)?;
    // Not a command that a user of the store needs.
    let mut ask = Cmd::new();
    ask.arg("SENTINEL").arg("get-master-addr-by-name").arg(name);
    let found: Option<(String, u16)> = ask.query(&mut wire)?;
    let unknown = || {
        let text = "Sentinel knows no master of this name";
        (ErrorKind::MasterNameNotFoundBySentinel, text, name.to_owned()).into()
    };
    found.map(|(host, port)| info.clone().set_addr(ConnectionAddr::Tcp(host, port))).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masters_name_is_what_the_address_says() {
        let name = |url| master_name(url);
        assert_eq!(name("redis://:p%3F@sentinels:26379/1?sentinel=mymaster").as_deref(), Some("mymaster"));
        assert_eq!(name("redis://h?protocol=resp2&sentinel=a-b.c").as_deref(), Some("a-b.c"));
        for url in ["redis://h", "redis://h?", "redis://h?sentinel=", "redis://h?protocol=resp2"] {
            assert_eq!(name(url), None, "{url}");
        }
    }
}
