//! A Redis that goes away while a run goes on, and runs that everybody has left.

use std::thread;
use std::time::Duration;

use local_redis::{LocalRedis, Options};
use rustix::process::Signal;
use scenarios::{Data, Place, Platform, eventually, stack_with};
use serde_json::{Value, json};
use sgd_lib::downpour::Run;

/// Seconds of training: what happens in the middle of it shall not come too late.
const EPOCHS: u64 = 12;

fn settings(data: &Data) -> Value {
    json!({
        "data_dir": data.folder(), "iterations": EPOCHS, "lr_schedule": "cosine", "target_accuracy": "none",
    })
}

fn platform(options: Options) -> (LocalRedis, Platform, Data) {
    let redis = LocalRedis::start(options).unwrap();
    let platform = Platform::with_redis(Place::new(), &stack_with(&[]), redis.url());
    (redis, platform, Data::find())
}

fn begin(platform: &Platform, data: &Data) -> Run {
    let run = platform.set_up(&settings(data));
    for worker in 0..2 {
        platform.await_progress(&run, worker);
    }
    run
}

/// Every image of every epoch counted once, by two workers.
fn is_whole(report: &Value, data: &Data) {
    assert_eq!(report["samples"], EPOCHS * data.train_images, "{report}");
    assert_eq!(report["workers"].as_array().unwrap().len(), 2, "{report}");
    assert!(report["test_accuracy"].as_f64().unwrap() > 0.7, "{report}");
}

fn tell(redis: &LocalRedis, command: &[&str]) {
    let (program, port) = ("redis-cli", redis.url().rsplit(':').next().unwrap());
    let output = std::process::Command::new(program).args(["-p", port]).args(command).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "OK");
}

#[test]
fn a_run_waits_for_a_redis_that_was_killed_and_goes_on_with_the_same_workers() {
    let (mut redis, platform, data) = platform(Options::default());
    let run = begin(&platform, &data);
    redis.kill().unwrap();
    thread::sleep(Duration::from_secs(3));
    redis.restart().unwrap();
    platform.await_end(&run);
    let report = platform.report(&run);
    is_whole(&report, &data);
    let workers = report["workers"].as_array().unwrap();
    assert!(
        workers.iter().all(|worker| worker["invocations"] == 1),
        "{report}\n{}",
        platform.logs("emnist-train")
    );
}

#[test]
fn a_run_goes_on_from_a_redis_that_came_back_without_its_last_writes() {
    let (mut redis, platform, data) = platform(Options::default());
    let run = begin(&platform, &data);
    let length = redis.log_length().unwrap();
    eventually("the workers push on", || (redis.log_length().unwrap() > length + 100_000).then_some(()));
    redis.restart_with_log_of(length).unwrap();
    platform.await_end(&run);
    is_whole(&platform.report(&run), &data);
    let logs = platform.logs("emnist-train");
    assert!(logs.contains("the store was restarted without what it wrote last"), "{logs}");
}

#[test]
fn a_run_waits_for_a_redis_whose_memory_is_full() {
    let (redis, platform, data) = platform(Options::default());
    let run = begin(&platform, &data);
    tell(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    thread::sleep(Duration::from_secs(1));
    tell(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
    platform.await_end(&run);
    is_whole(&platform.report(&run), &data);
    let logs = platform.logs("emnist-train");
    assert!(logs.contains("OOM") && logs.contains("maxmemory"), "{logs}");
}

#[test]
fn a_redis_that_lost_its_data_ends_the_run_and_says_why() {
    let (mut redis, platform, data) = platform(Options { append_only: false, ..Options::default() });
    let epochs = EPOCHS.to_string();
    let flags = ["train", "--json", "--data-dir", data.folder(), "--epochs", &epochs];
    // This command is told of the store by the platform that runs.
    let mut train = platform.place.background(&flags);
    eventually("the workers make progress", || {
        train.lines().iter().any(|event| event["event"] == "progress").then_some(())
    });
    redis.kill().unwrap();
    redis.restart().unwrap();
    let message = train.wait().failed(1);
    assert!(message.contains("no longer in the store") && message.contains("without its data"), "{message}");
    eventually("the workers say why they left", || {
        platform.logs("emnist-train").contains("is gone; was it deleted, or").then_some(())
    });
    // Nothing of the old run comes back.
    assert_eq!(platform.keys("dp:{*"), [""; 0]);
}

/// Kills all replicas at once, so that nobody is left to ask for successors.
fn left_by_all() -> (Platform, Data, Run) {
    let (platform, data) = (Platform::new(), Data::find());
    let run = begin(&platform, &data);
    for replica in platform.replicas("emnist-train") {
        replica.signal(Signal::KILL);
    }
    eventually("nobody holds a lease", || (!run.status().unwrap().held.contains(&true)).then_some(()));
    (platform, data, run)
}

#[test]
fn a_run_that_everybody_left_is_resumed_by_a_command() {
    let (platform, data, run) = left_by_all();
    let finished = platform.place.downpour(&["resume", run.name(), "--json"]);
    let last = finished.lines().pop().unwrap();
    finished.succeeded();
    assert_eq!(last["event"], "finished", "{last}");
    is_whole(&last, &data);
    assert!(last["workers"].as_array().unwrap().iter().all(|worker| worker["invocations"] == 2), "{last}");
    // One that is over is reported as it is.
    let again = platform.place.downpour(&["resume", run.name(), "--json"]);
    assert_eq!(again.lines().pop().unwrap()["samples"], last["samples"]);
    let message = platform.place.downpour(&["resume", "no-such-run"]).failed(1);
    assert!(message.contains("no-such-run: there is no such run"), "{message}");
}

#[test]
fn a_run_that_everybody_left_is_resumed_by_another_setup() {
    let (platform, data, run) = left_by_all();
    let body = json!({"run": run.name()}).to_string();
    let answer = platform.call("emnist-setup", body.as_bytes(), None).json(200);
    assert_eq!((&answer["run"], &answer["workers"]), (&json!(run.name()), &json!(2)));
    // Where everybody is at work nothing happens.
    assert_eq!(platform.call("emnist-setup", body.as_bytes(), None).json(200)["left_out"], json!([]));
    platform.await_end(&run);
    is_whole(&platform.report(&run), &data);
    let unknown = platform.call("emnist-setup", br#"{"run": "no-such-run"}"#, None);
    assert_eq!(unknown.status, 404, "{}", unknown.text);
}

#[test]
fn a_run_outlives_its_platform() {
    let (platform, data) = (Platform::new(), Data::find());
    let run = begin(&platform, &data).name().to_owned();
    let place = platform.kill();
    place.await_silence();
    let finished = place.downpour(&["resume", &run, "--json"]);
    let last = finished.lines().pop().unwrap();
    finished.succeeded();
    is_whole(&last, &data);
}
