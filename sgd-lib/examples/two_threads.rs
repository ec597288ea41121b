//! Downpour SGD without OpenFaaS: two threads train on one store in memory.
//!
//! `cargo run --release -p sgd-lib --example two_threads -- FOLDER`, where FOLDER holds IDX files.

use std::{env, error::Error, path::Path, sync::Arc, thread, time::Duration};

use sgd_lib::dataset::{Dataset, Transpose, find};
use sgd_lib::downpour::{Departure, Identity, Run, RunConfig, Surroundings, Worker};
use sgd_lib::store::{Claim, MemoryStore};

struct Here;

impl Surroundings for Here {
    fn must_leave(&self) -> bool {
        false
    }
    fn recruit(&self, _worker: u32) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).unwrap_or_else(|| "/usr/share/datasets/fashion-mnist".to_owned());
    let source = find(Path::new(&folder), None)?;
    let data = Dataset::prepare(&source, &env::temp_dir().join("downpour"), Transpose::Auto)?;
    let config = RunConfig { workers: 2, target_accuracy: Some(0.75), ..RunConfig::for_data(&data)? };
    let run = Run::create(Arc::new(MemoryStore::new()), "example", config)?;
    run.store().fix_workers(run.keys(), 2)?;
    let train = |worker: u32| -> Result<Departure, Box<dyn Error + Send + Sync>> {
        let claim = run.claim(&worker.to_string(), Some(worker), Duration::from_secs(2))?;
        let here = Identity { node: "here".to_owned(), pod: format!("thread-{worker}") };
        let Claim::Granted { lease, resumed, .. } = claim else { return Err("no place".into()) };
        Ok(Worker::new(&run, lease, resumed, &here, data.train(), data.test(), &Here)?.train()?)
    };
    let departures =
        thread::scope(|s| [s.spawn(|| train(0)), s.spawn(|| train(1))].map(thread::ScopedJoinHandle::join));
    println!("{departures:?}");
    println!("{:?}", run.status()?.result);
    Ok(())
}
