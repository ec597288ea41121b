//! Everything that a Redis ever accepted, of what it still has.
//!
//! A run trims its log and deletes it in the end; what trimming and deleting took away is still in the append-only
//! file. Played into another Redis without the commands that take something away, the file gives the whole log, to
//! be read as ever.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use local_redis::{LocalRedis, Options};
use scenarios::Place;
use sgd_lib::store::{Cursors, Entry, EntryId, Exchange, RedisStore, RunKeys, Store, StoreError};

/// Where a Redis has its append-only file, in its folder.
pub(crate) const FOLDER: &str = "appendonlydir";
/// Commands that take something away. Scripts stand there as the commands that they ran.
const TAKING: [&str; 6] = ["DEL", "UNLINK", "XTRIM", "XDEL", "PEXPIREAT", "PEXPIRE"];
/// Entries of each stream in one read.
const ENTRIES: usize = 64;

/// The streams of a log, whole.
pub(crate) type Streams = BTreeMap<u32, Vec<Entry>>;

/// The append-only files of nodes' stores, those that were put away included.
///
/// # Panics
/// A folder can't be read.
pub(crate) fn of_nodes(place: &Place) -> Vec<PathBuf> {
    let folders = [place.path("state"), place.path("")].map(|folder| fs::read_dir(folder).expect("a folder"));
    let nodes = folders.into_iter().flatten().flatten().map(|entry| entry.path());
    let nodes =
        nodes.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("node-")));
    nodes
        .map(|node| if node.join(FOLDER).is_dir() { node.join(FOLDER) } else { node })
        .filter(|files| files.join("appendonly.aof.manifest").is_file())
        .collect()
}

/// Starts a Redis in the folder `to` with what the append-only files in the folder `from` ever wrote.
///
/// # Panics
/// The files can't be read, or Redis does not accept them.
pub(crate) fn replay(from: &Path, to: &Path) -> LocalRedis {
    let target = to.join(FOLDER);
    fs::create_dir_all(&target).expect("create a folder");
    for file in fs::read_dir(from).expect("the append-only files").flatten() {
        let (source, copy) = (file.path(), target.join(file.file_name()));
        if source.extension().is_some_and(|kind| kind == "aof") {
            keep_what_adds(&source, &copy).expect("an append-only file");
        } else {
            fs::copy(&source, &copy).expect("copy a file");
        }
    }
    LocalRedis::start(Options::in_dir(to)).expect("a Redis with the whole log")
}

/// Copies an append-only file but for the commands that take something away.
fn keep_what_adds(from: &PathBuf, to: &PathBuf) -> io::Result<()> {
    let (mut file, mut copy) = (BufReader::new(fs::File::open(from)?), BufWriter::new(fs::File::create(to)?));
    let mut command = Vec::new();
    while let Some(name) = next(&mut file, &mut command)? {
        if !TAKING.contains(&name.as_str()) {
            copy.write_all(&command)?;
        }
    }
    copy.flush()
}

/// Reads the next command as it stands; its name, in capitals. `None`: there is none.
fn next(file: &mut impl BufRead, command: &mut Vec<u8>) -> io::Result<Option<String>> {
    command.clear();
    let Some(count) = head(file, command, b'*')? else { return Ok(None) };
    let mut name = String::new();
    for number in 0..count {
        let length = head(file, command, b'$')?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let begin = command.len();
        command.resize(begin + length + 2, 0);
        file.read_exact(&mut command[begin..])?;
        if number == 0 {
            name = String::from_utf8_lossy(&command[begin..begin + length]).to_uppercase();
        }
    }
    Ok(Some(name))
}

/// Reads a line that is this letter and a number.
fn head(file: &mut impl BufRead, command: &mut Vec<u8>, letter: u8) -> io::Result<Option<usize>> {
    let begin = command.len();
    if file.read_until(b'\n', command)? == 0 {
        return Ok(None);
    }
    let line = &command[begin..];
    let wrong = || io::Error::other(format!("{:?} in an append-only file", String::from_utf8_lossy(line)));
    let number = line.strip_prefix(&[letter]).ok_or_else(wrong)?.trim_ascii();
    let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
    number.map(Some).ok_or_else(wrong)
}

/// Every entry of every stream of a run, or of its part on a node.
///
/// # Errors
/// The store fails, or holds something that does not decode.
pub(crate) fn streams(store: &RedisStore, run: &RunKeys) -> Result<Streams, StoreError> {
    let mut streams = Streams::new();
    loop {
        let end = |entries: &Vec<Entry>| entries.last().map_or(EntryId::ZERO, |entry| entry.id);
        let cursors: Cursors = streams.iter().map(|(stream, entries)| (*stream, end(entries))).collect();
        let read = Exchange { cursors: Some(&cursors), entries_per_stream: ENTRIES, ..Exchange::default() };
        let found = store.exchange(run, &read)?;
        let mut news = false;
        for (stream, entries) in found.entries {
            news |= !entries.is_empty();
            streams.entry(stream).or_default().extend(entries);
        }
        for stream in found.streams {
            news |= !streams.contains_key(&stream);
            streams.entry(stream).or_default();
        }
        if !news {
            return Ok(streams);
        }
    }
}

#[cfg(test)]
mod tests {
    use sgd_lib::store::{Claim, ClaimRequest, EntryKind, Passed, Position, Progress};

    use super::*;

    fn claim(store: &RedisStore, run: &RunKeys) -> sgd_lib::store::Lease {
        let request = ClaimRequest {
            place: "place".to_owned(),
            worker: None,
            workers: 1,
            holder: "holder".to_owned(),
            ttl: std::time::Duration::from_secs(10),
            from: None,
            seize: false,
        };
        match store.claim(run, &request).unwrap() {
            Claim::Granted { lease, .. } => lease,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_deleted_is_found_and_what_was_cut_off_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut redis = LocalRedis::start(Options::in_dir(folder.path().join("first"))).unwrap();
        let (store, run) = (RedisStore::open(redis.url()).unwrap(), RunKeys::new("run").unwrap());
        sgd_lib::state::put(&store, &run.config(), &1_u32, 0, None).unwrap();
        let lease = claim(&store, &run);
        let mut length = 0;
        for seq in 1..=3 {
            let at = Position { epoch: 0, minibatch: 10 * u32::try_from(seq).unwrap() };
            let entry = Entry {
                id: EntryId { token: lease.token, seq },
                prev: EntryId { token: lease.token, seq: seq - 1 },
                kind: EntryKind::Push,
                progress: Some(Progress { at, minibatches: 10 * seq, samples: 320 * seq, pushes: seq }),
                seen: Vec::new(),
                payload: b"\r\n*1\r\n$3\r\nDEL\r\n".to_vec(),
                passed: Passed::default(),
            };
            let push = Exchange { push: Some(&entry), lease: Some(&lease), ..Exchange::default() };
            store.exchange(&run, &push).unwrap();
            length = if seq == 2 { redis.log_length().unwrap() } else { length };
        }
        // In the middle of the third.
        redis.restart_with_log_of(length + 20).unwrap();
        store.delete_log(&run).unwrap();
        assert!(streams(&store, &run).unwrap().is_empty());
        redis.stop().unwrap();

        let whole = replay(&folder.path().join("first").join(FOLDER), &folder.path().join("second"));
        let found = streams(&RedisStore::open(whole.url()).unwrap(), &run).unwrap();
        let seqs: Vec<_> = found[&0].iter().map(|entry| (entry.id.seq, entry.payload.len())).collect();
        assert_eq!(seqs, [(0, 0), (1, 15), (2, 15)]);
    }
}
