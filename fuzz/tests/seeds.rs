//! A short run of every target on stable Rust: its seeds, and mutations of them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use fuzz::{TARGETS, Target};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Mutations of each target, and how long they may take: fewer on a slow machine.
const MUTATIONS: u32 = 20_000;
const LONGEST: Duration = Duration::from_secs(2);
/// Mutations grow to no more than this, in bytes.
const LONGEST_INPUT: usize = 4096;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = folder("seeds").join(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// What `target` does with `bytes`, which are shown where it fails.
fn taken(target: &Target, bytes: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target.run(bytes)))
        .unwrap_or_else(|_| panic!("{} fails on b\"{}\"", target.name, bytes.escape_ascii()))
}

/// Changes a few bytes: one, a run of them, a number in text, or one place to what stands at another, of any seed.
fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Xoshiro256PlusPlus) {
    const TELLING: [&[u8]; 8] = [
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\x80",
        b"-1",
        b"99999999999",
        b"\r\n",
        b"\n",
    ];
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..=8)).min(bytes.len());
        match random.random_range(0..6) {
            0 => drop(bytes.splice(at..end, [])),
            1 => drop(bytes.splice(at..at, [random.random::<u8>()])),
            2 => drop(bytes.splice(at..end, TELLING[random.random_range(0..TELLING.len())].iter().copied())),
            3 => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                let to = random.random_range(from..=other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            _ => {}
        }
    }
    bytes.truncate(LONGEST_INPUT);
}

fn check(target: &Target) {
    let seeds = seeds(target);
    let accepted = seeds.iter().filter(|seed| taken(target, seed)).count();
    assert!(accepted > 0, "{}: no seed is what it should be", target.name);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let begun = Instant::now();
    let mut bytes = Vec::new();
    for number in 0..MUTATIONS {
        // Mutations of mutations, from time to time of a seed again.
        if number % 8 == 0 {
            bytes.clone_from(&seeds[random.random_range(0..seeds.len())]);
        }
        mutate(&mut bytes, &seeds, &mut random);
        taken(target, &bytes);
        if begun.elapsed() > LONGEST {
            return;
        }
    }
}

#[test]
fn no_bytes_make_a_target_panic_or_take_more_memory_than_it_may() {
    thread::scope(|scope| {
        let threads: Vec<_> = TARGETS.chunks(TARGETS.len().div_ceil(2)).collect();
        for targets in threads {
            scope.spawn(move || targets.iter().for_each(check));
        }
    });
}

#[test]
fn every_target_has_a_program_of_its_name() {
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for Target { name, .. } in TARGETS {
        let program = folder("fuzz_targets").join(format!("{name}.rs"));
        let text =
            fs::read_to_string(&program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        assert!(text.contains(&format!("fuzz::run(\"{name}\", bytes)")), "{text}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}

#[test]
fn memory_is_counted() {
    let (length, peak) = fuzz::memory::peak_of(|| {
        let mut kept = black_box(vec![0_u8; 1000]);
        kept.reserve_exact(2000);
        drop(black_box(vec![1_u8; 500]));
        black_box(kept).len()
    });
    assert_eq!((length, peak), (1000, 4000), "a buffer and the one that it moves to");
}
