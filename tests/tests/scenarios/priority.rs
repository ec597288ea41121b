//! Who goes first in a replica where more threads want to run than there are cores.

use std::fs;

use scenarios::{Data, Platform, Process};
use serde_json::json;

/// Name and niceness of each of a process's threads.
fn threads(process: &Process) -> Vec<(String, i32)> {
    let folders = fs::read_dir(format!("/proc/{}/task", process.id)).unwrap().flatten();
    // One that has ended in between is none any more.
    let stats = folders.filter_map(|folder| fs::read_to_string(folder.path().join("stat")).ok());
    stats
        .map(|stat| {
            let (head, fields) = stat.rsplit_once(')').unwrap();
            let name = head.split_once('(').unwrap().1.to_owned();
            // The 19th field of all; the first here is the third.
            (name, fields.split_whitespace().nth(16).unwrap().parse().unwrap())
        })
        .collect()
}

#[test]
fn the_thread_that_trains_gives_way_to_those_that_answer() {
    let (platform, data) = (Platform::new(), Data::find());
    let run = platform.set_up(&json!({
        "data_dir": data.folder(), "iterations": 100_000, "alpha": 0.01, "target_accuracy": "none",
    }));
    let threads = threads(&platform.await_progress(&run, 0));
    let nice = |prefix: &str| -> Vec<i32> {
        threads.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, nice)| *nice).collect()
    };
    let (train, answer, talk) = (nice("worker-"), nice("watchdog"), nice("link-"));
    assert!(train.len() == 1 && talk.len() == 1 && answer.len() >= 2, "{threads:?}");
    assert!(answer.iter().chain(&talk).all(|nice| *nice < train[0]), "{threads:?}");
    run.stop().unwrap();
    platform.await_end(&run);
}
