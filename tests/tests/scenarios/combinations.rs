//! Every way of sharing a run's work, with every algorithm and database, by one worker, three and six.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use scenarios::{Data, Place, Platform, eventually, stack_with};
use serde_json::{Value, json};
use sgd_lib::downpour::Run;

const EPOCHS: u64 = 3;
/// In minibatches of 32 that three workers, and six, share unevenly.
const IMAGES: usize = 8009;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Combination {
    train_type: u64,
    algorithm: &'static str,
    database: &'static str,
    workers: u64,
}

impl Combination {
    fn all() -> impl Iterator<Item = Self> {
        let types: [(u64, &[u64]); 3] = [(1, &[1]), (2, &[1, 3, 6]), (3, &[1, 3, 6])];
        let algorithms = ["downpour", "average", "easgd", "diloco"].into_iter();
        let ways = algorithms.flat_map(|algorithm| ["global", "local"].map(|database| (algorithm, database)));
        types.into_iter().flat_map(move |(train_type, workers)| {
            ways.clone().flat_map(move |(algorithm, database)| {
                workers.iter().map(move |&workers| Self { train_type, algorithm, database, workers })
            })
        })
    }

    fn settings(self, data: &Data) -> Value {
        json!({
            "data_dir": data.folder(), "train_type": self.train_type, "algorithm": self.algorithm,
            "database": self.database, "number_of_workers": self.workers, "iterations": EPOCHS, "target_accuracy": "none",
        })
    }

    fn begin(self, platform: &Platform, data: &Data) -> Run {
        let settings = self.settings(data);
        if self.train_type != 1 {
            return platform.set_up(&settings);
        }
        // The only replica may still be leaving the run before.
        let answer = eventually("emnist-single has a place", || {
            let answer = platform.call("emnist-single", settings.to_string().as_bytes(), None);
            (answer.status != 429).then(|| answer.json(202))
        });
        platform.run(answer["run"].as_str().unwrap())
    }

    fn check(self, report: &Value, data: &Data) {
        let expected = [
            ("state", Value::from("finished")),
            ("train_type", self.train_type.into()),
            ("algorithm", self.algorithm.into()),
            ("database", self.database.into()),
            ("workers_requested", self.workers.into()),
            ("epochs", EPOCHS.into()),
            ("samples", (EPOCHS * data.train_images).into()),
            ("reached_target", false.into()),
        ];
        for (figure, value) in expected {
            assert_eq!(report[figure], value, "{figure} of {self:?}: {report}");
        }
        assert!(report["test_accuracy"].as_f64().unwrap() > 0.4, "{self:?}: {report}");
        let workers = report["workers"].as_array().unwrap();
        assert_eq!(workers.len() as u64, self.workers, "{self:?}: {report}");
        let planned = if self.train_type == 2 { EPOCHS } else { 1 };
        for worker in workers {
            assert_eq!(worker["epochs"], EPOCHS, "{self:?}: {report}");
            assert_eq!(worker["database"], self.database, "{self:?}: {report}");
            let handovers = worker["handovers"].as_u64().unwrap();
            // One that is slower may have given whole epochs away.
            let invocations = worker["invocations"].as_u64().unwrap();
            assert!((1..=planned + handovers).contains(&invocations), "{self:?}: {report}");
            if ["average", "diloco"].contains(&self.algorithm) {
                assert_eq!(invocations, planned + handovers, "{self:?}: {report}");
                assert_eq!(worker["staleness_max"], 0, "{self:?}: {report}");
            }
        }
    }
}

/// With two replicas, on a node each with a Redis of its own: so more workers than replicas, too.
#[test]
fn every_type_trains_by_every_algorithm_on_every_database_with_one_worker_and_many() {
    let platform = Platform::on_nodes(2, &stack_with(&[]));
    let data = Data::find().part(&platform.place, IMAGES, 2000);
    for combination in Combination::all() {
        let run = combination.begin(&platform, &data);
        platform.await_end(&run);
        combination.check(&platform.report(&run), &data);
    }
}

/// The calls that schedule epochs, sent again at any time.
#[test]
fn an_epoch_that_is_scheduled_twice_is_done_once() {
    let platform = Platform::new();
    let data = Data::find().part(&platform.place, IMAGES, 2000);
    let combination = Combination { train_type: 2, algorithm: "downpour", database: "global", workers: 2 };
    let mut settings = combination.settings(&data);
    settings["iterations"] = 30.into();
    let run = platform.set_up(&settings);
    let mut duplicates = 0;
    while run.status().unwrap().control.stop.is_none() {
        for record in run.status().unwrap().workers {
            let place = format!("{}-{}-epoch-{}", run.name(), record.worker, record.epochs);
            let order = json!({"run": run.name(), "place": place, "worker": record.worker, "from": 1});
            let answer = platform.call("emnist-train", order.to_string().as_bytes(), Some(&place));
            // It has the place; or nobody was asked yet, and the lease is held; or the run is over.
            assert!([200, 409, 410].contains(&answer.status), "{} {}", answer.status, answer.text);
            duplicates += u64::from(answer.status == 200);
        }
        thread::sleep(Duration::from_millis(5));
    }
    platform.await_end(&run);
    let report = platform.report(&run);
    assert!(duplicates > 0, "{report}");
    assert_eq!(report["samples"], 30 * data.train_images, "{report}");
    for worker in report["workers"].as_array().unwrap() {
        let handovers = worker["handovers"].as_u64().unwrap();
        // One that is slower may have given whole epochs away.
        assert!(worker["invocations"].as_u64().unwrap() <= 30 + handovers, "{report}");
    }
}

/// Replicas that take one worker each: the next invocation finds a place where the one before left it.
#[test]
fn an_invocation_for_each_epoch_goes_on_when_a_replica_is_killed() {
    let changes =
        [(r#"max_inflight: "8""#, r#"max_inflight: "1""#), (r#"scale.min: "2""#, r#"scale.min: "3""#)];
    let (platform, data) = (Platform::start(Place::new(), &stack_with(&changes)), Data::find());
    for algorithm in ["downpour", "average"] {
        let combination = Combination { train_type: 2, algorithm, database: "global", workers: 2 };
        let mut settings = combination.settings(&data);
        settings["iterations"] = 8.into();
        let run = platform.set_up(&settings);
        platform.await_progress(&run, 1).signal(Signal::KILL);
        platform.await_end(&run);
        let report = platform.report(&run);
        assert_eq!(report["samples"], 8 * data.train_images, "{report}");
        assert!(report["test_accuracy"].as_f64().unwrap() > 0.7, "{report}");
    }
}
