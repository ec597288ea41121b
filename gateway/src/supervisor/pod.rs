//! Names of replicas, as Kubernetes would make them, and their ports.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use openfaas::types::FunctionDeployment;

/// Kubernetes' alphabet for generated names: no vowels, so no words.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// What the names of all replicas of one specification begin with: `<function>-<10 characters of the specification>`.
pub(crate) fn set_name(deployment: &FunctionDeployment) -> String {
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(deployment).unwrap_or_default().hash(&mut hasher);
    format!("{}-{}", deployment.service, letters(hasher.finish(), 10))
}

/// `<set>-<5 characters at random>`.
pub(crate) fn name(set: &str) -> String {
    format!("{set}-{}", letters(rand::random(), 5))
}

fn letters(mut number: u64, count: usize) -> String {
    let base = ALPHABET.len() as u64;
    let mut text = String::with_capacity(count);
    for _ in 0..count {
        text.push(char::from(ALPHABET[(number % base) as usize]));
        number /= base;
    }
    text
}

/// Where ports are tried first: below those that the kernel hands to outgoing connections (from 32,768 on
/// Linux), one of which might take a port between its choice here and the replica's start.
const QUIET_PORTS: Range<u16> = 16_384..32_768;

/// Two free loopback ports. Another process may take one before the replica does; it is then started anew.
pub(crate) fn free_ports() -> io::Result<(u16, u16)> {
    let (first, second) = (bind()?, bind()?);
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}

fn bind() -> io::Result<TcpListener> {
    let on = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let quiet = (0..32).find_map(|_| on(rand::random_range(QUIET_PORTS)).ok());
    quiet.map_or_else(|| on(0), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_like_kubernetes() {
        let of = |image: &str| FunctionDeployment {
            service: "emnist-train".into(),
            image: image.into(),
            ..FunctionDeployment::default()
        };
        let set = set_name(&of("a"));
        let (first, second) = (name(&set), name(&set));
        let parts: Vec<&str> = first.rsplitn(3, '-').collect();
        assert_eq!((parts[0].len(), parts[1].len(), parts[2]), (5, 10, "emnist-train"));
        assert_eq!(first[..23], second[..23]);
        assert_ne!(first, second);
        assert_ne!(set_name(&of("b")), set);
    }

    #[test]
    fn ports_differ() {
        let (first, second) = free_ports().unwrap();
        assert_ne!(first, second);
        assert!(QUIET_PORTS.contains(&first) && QUIET_PORTS.contains(&second));
    }
}
