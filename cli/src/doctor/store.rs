//! Whether the Redis is fit to hold runs.

use std::collections::BTreeMap;
use std::time::Instant;

use sgd_lib::store::{RedisStore, Store, StoreError};

use super::Finding;
use super::clocks::Reading;

const PART: &str = "redis";
/// The first version whose commands suffice.
const LEAST_VERSION: u32 = 7;
/// The log of a small run, its snapshots and a model fit into this.
const LEAST_FREE: u64 = 64 << 20;

type Info = BTreeMap<String, String>;

pub(super) fn check(redis: &RedisStore, clocks: &mut Vec<Reading>) -> Vec<Finding> {
    let asked = Instant::now();
    match redis.now_ms() {
        Ok(now) => clocks.push(Reading::new("redis", now as f64, asked)),
        Err(error) => return vec![unreachable(&error)],
    }
    let info = match redis.info() {
        Ok(info) => info,
        Err(error) => {
            let advice = "its user may not say INFO; ask as one that may, to see its settings";
            return vec![Finding::warning(PART, error.to_string(), advice)];
        }
    };
    let mut findings = vec![version(redis.address(), &info), role(&info), append_only(&info)];
    findings.extend(flushing(redis, &info));
    findings.push(eviction(&info));
    findings.extend(memory(&info));
    findings
}

fn unreachable(error: &StoreError) -> Finding {
    let text = error.to_string();
    let advice = if matches!(error, StoreError::Untrusted { .. }) {
        "name who signed its certificate: --store-ca-file FILE; the certificate must name the host of the address"
    } else if ["WRONGPASS", "NOAUTH", "AuthenticationFailed", "authentication"]
        .iter()
        .any(|word| text.contains(word))
    {
        "give its password: in the address, or --store-password-file FILE"
    } else if text.contains("NoPerm") {
        "its user may not do what a run takes; SECURITY.md has the rule"
    } else {
        "is it running, and reachable from here? kubectl port-forward -n openfaas-fn service/redis 6379"
    };
    Finding::problem(PART, text, advice)
}

fn field<'a>(info: &'a Info, name: &str) -> &'a str {
    info.get(name).map_or("", String::as_str)
}

fn bytes(info: &Info, name: &str) -> u64 {
    field(info, name).parse().unwrap_or(0)
}

/// Valkey keeps the version of the Redis that it is compatible with in the same field.
fn version(address: &str, info: &Info) -> Finding {
    let version = field(info, "redis_version");
    let text = format!("{address} is version {version}");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= LEAST_VERSION) {
        Finding::ok(PART, text)
    } else {
        Finding::problem(PART, text, format!("at least {LEAST_VERSION}.0 is needed"))
    }
}

fn role(info: &Info) -> Finding {
    if field(info, "role") == "slave" {
        Finding::problem(PART, "it is a replica, which takes no writes", "name its primary")
    } else if field(info, "cluster_enabled") == "1" {
        let advice = "a node of a Redis Cluster redirects what is not its own, which nobody follows here: use one Redis";
        Finding::problem(PART, "it is a node of a Redis Cluster", advice)
    } else {
        Finding::ok(PART, "it takes writes")
    }
}

fn append_only(info: &Info) -> Finding {
    if field(info, "aof_enabled") != "1" {
        let advice = "appendonly yes in redis.conf (now: redis-cli CONFIG SET appendonly yes)";
        return Finding::problem(PART, "no append-only file: a restart loses all runs", advice);
    }
    match field(info, "aof_last_write_status") {
        "err" => Finding::problem(PART, "the append-only file can't be written", "is its disk full?"),
        _ => Finding::ok(PART, "an append-only file keeps what is written"),
    }
}

fn flushing(redis: &RedisStore, info: &Info) -> Option<Finding> {
    if field(info, "aof_enabled") != "1" {
        return None;
    }
    let advice = "appendfsync everysec suits training: a worker repeats what was not kept";
    Some(match redis.parameter("appendfsync") {
        Ok(Some(how)) if how == "everysec" => Finding::ok(PART, "appendfsync everysec"),
        Ok(Some(how)) if how == "always" => {
            Finding::warning(PART, "appendfsync always: each push waits for the disk", advice)
        }
        Ok(how) => Finding::warning(PART, format!("appendfsync {}", how.unwrap_or_default()), advice),
        Err(error) => Finding::warning(PART, error.to_string(), "appendfsync was not looked at"),
    })
}

fn eviction(info: &Info) -> Finding {
    let policy = field(info, "maxmemory_policy");
    let advice = "maxmemory-policy noeviction (now: redis-cli CONFIG SET maxmemory-policy noeviction)";
    let text = format!("maxmemory-policy {policy}");
    match policy {
        "noeviction" => Finding::ok(PART, text),
        _ if bytes(info, "maxmemory") == 0 => {
            Finding::warning(PART, format!("{text}, though no maxmemory is set"), advice)
        }
        _ => Finding::problem(PART, format!("{text}: it deletes runs where memory is short"), advice),
    }
}

fn memory(info: &Info) -> Option<Finding> {
    let most = bytes(info, "maxmemory");
    if most == 0 {
        return None;
    }
    let used = bytes(info, "used_memory");
    let text = format!("{} of maxmemory {} MiB are in use", used >> 20, most >> 20);
    Some(if most.saturating_sub(used) < LEAST_FREE {
        let advice = format!("raise maxmemory: a run takes {} MiB or more", LEAST_FREE >> 20);
        Finding::problem(PART, text, advice)
    } else {
        Finding::ok(PART, text)
    })
}
