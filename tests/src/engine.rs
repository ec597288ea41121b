//! Functions without OpenFaaS: bare processes, each function behind an address that spreads connections over
//! its replicas, as Kubernetes' and Knative's Services are.

use std::net::SocketAddr;
use std::process::Command;

use local_redis::{LocalRedis, Options};
use serde_json::Value;

use crate::background::Background;
use crate::balancer::Balancer;
use crate::place::Place;
use crate::{binary, eventually};

/// Setup and train functions behind an address each, and a Redis.
pub struct Engine {
    replicas: Vec<Background>,
    redis: LocalRedis,
    setup: Balancer,
    train: Balancer,
    /// Where it runs. Dropped last: everything above uses its folder.
    pub place: Place,
}

impl Engine {
    /// One setup function and `trains` train functions of at most `max_inflight` workers each.
    pub fn start(trains: usize, max_inflight: usize) -> Self {
        let place = Place::new();
        let redis = LocalRedis::start(Options::default()).expect("a Redis");
        let (setup, train) = (Balancer::start(), Balancer::start());
        let mut engine = Self { replicas: Vec::new(), redis, setup, train, place };
        for number in 0..trains {
            let address = engine.add("emnist-train", number, max_inflight);
            engine.train.add(address);
        }
        let address = engine.add("emnist-setup", 0, 1);
        engine.setup.add(address);
        engine
    }

    /// Starts a replica; where it listens.
    fn add(&mut self, function: &str, number: usize, max_inflight: usize) -> SocketAddr {
        let pod = format!("{function}-{number}");
        let mut command = Command::new(binary(function));
        // Functions call the train function only, so its address may stand for any.
        let function_url = format!("http://{}/{{function}}", self.train.address);
        command.envs([
            ("bind_address", "127.0.0.1"),
            ("port", "0"),
            ("metrics_port", "0"),
            ("suppress_lock", "true"),
            ("exec_timeout", "1h"),
            ("write_timeout", "1m"),
            ("store_url", self.redis.url()),
            ("function_url", &function_url),
            ("max_inflight", &max_inflight.to_string()),
            ("HOSTNAME", &pod),
            ("node_name", "bare"),
        ]);
        command.env("cache_dir", self.place.path("prepared")).env_remove("RUST_LOG");
        let replica = Background::spawn(command, &self.place.path(""));
        let address = eventually("a function listens", || {
            let messages = replica.messages();
            let (_, after) = messages.split_once("listening on ")?;
            after.split([',', '\n']).next()?.parse().ok()
        });
        self.replicas.push(replica);
        address
    }

    /// The address by which a command calls functions: setup is the only one that it calls.
    pub fn setup_url(&self) -> String {
        format!("http://{}/{{function}}", self.setup.address)
    }

    /// The address of Redis.
    pub fn store_url(&self) -> &str {
        self.redis.url()
    }

    /// Trains with these flags; what the last line of `train --json` says.
    pub fn train(&self, flags: &[&str]) -> Value {
        let own = ["--function-url", &self.setup_url(), "--store-url", self.store_url()];
        self.place.train(&[&own, flags].concat())
    }
}
