//! `downpour up`, calls through its gateway, runs in its Redis.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use openfaas::client::Client;
use openfaas::stack::Stack;
use openfaas::types::Secret;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use rustix::process::Signal;
use serde_json::Value;
use sgd_lib::downpour::{Event, Run, RunStatus};
use sgd_lib::store::RedisStore;
use tokio::runtime::{Builder, Runtime};

use crate::background::Background;
use crate::place::{Finished, Place};
use crate::processes::Process;
use crate::{eventually, redis_keys, within_limit};

/// A local platform that is ready.
#[derive(Debug)]
pub struct Platform {
    up: Background,
    /// The address of Redis.
    pub store_url: String,
    /// The address of the gateway.
    pub gateway_url: String,
    /// The file with which kubectl finds the gateway.
    pub kubeconfig: PathBuf,
    gateway: Client,
    runtime: Runtime,
    /// Where it runs. Dropped last: everything above uses its folder.
    pub place: Place,
}

/// What a function answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body of an answer of this status, as JSON.
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Platform {
    /// With the project's own stack, in a place of its own.
    #[expect(clippy::new_without_default, reason = "it starts processes")]
    pub fn new() -> Self {
        Self::start(Place::new(), &crate::stack_with(&[]))
    }

    /// With the stack of this text.
    pub fn start(place: Place, stack: &str) -> Self {
        Self::up(place, stack, &[])
    }

    /// With the stack of this text, on a Redis that is there already.
    pub fn with_redis(place: Place, stack: &str, url: &str) -> Self {
        Self::up(place, stack, &["--redis", url])
    }

    /// With the project's own stack, on so many virtual nodes.
    pub fn on_nodes(nodes: u32, stack: &str) -> Self {
        Self::up(Place::new(), stack, &["--nodes", &nodes.to_string()])
    }

    /// With the stack of this text and further flags of `downpour up`.
    pub fn up(place: Place, stack: &str, flags: &[&str]) -> Self {
        place.write("stack.yml", stack.as_bytes());
        let always = ["up", "--port", "0", "--json", "--kubeconfig", "kubeconfig"];
        let mut up = place.background(&[&always, flags].concat());
        let ready = eventually("the platform is ready", || {
            assert!(!up.has_ended(), "downpour up ended: {}", up.messages());
            up.lines().into_iter().next()
        });
        let text = |key: &str| ready[key].as_str().expect(key).to_owned();
        let gateway_url = text("gateway");
        let gateway = Client::new(&gateway_url, None).expect("the gateway's address");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (store_url, kubeconfig) = (text("store_url"), text("kubeconfig").into());
        Self { up, store_url, gateway_url, kubeconfig, gateway, runtime, place }
    }

    /// The gateway's address.
    pub fn gateway_url(&self) -> &str {
        self.gateway.gateway()
    }

    /// The names of the functions that are deployed.
    pub fn functions(&self) -> Vec<String> {
        let functions = self.runtime.block_on(self.gateway.list()).expect("the functions");
        functions.into_iter().map(|function| function.name).collect()
    }

    /// Calls a function with this body, as the call of this name where one is given.
    pub fn call(&self, function: &str, body: &[u8], call_id: Option<&str>) -> Answer {
        self.call_all(function, &[(body, call_id)]).remove(0)
    }

    /// Makes calls with these bodies and names at the same time.
    pub fn call_all(&self, function: &str, calls: &[(&[u8], Option<&str>)]) -> Vec<Answer> {
        let calls: Vec<_> = calls
            .iter()
            .map(|(body, call_id)| {
                let name = |id: &str| ("x-call-id".parse().unwrap(), HeaderValue::from_str(id).unwrap());
                let headers: HeaderMap = call_id.map(name).into_iter().collect();
                let (gateway, function, body) = (self.gateway.clone(), function.to_owned(), body.to_vec());
                self.runtime.spawn(async move { gateway.invoke(&function, body, headers).await })
            })
            .collect();
        self.runtime.block_on(async {
            let mut answers = Vec::new();
            for call in calls {
                let reply = call.await.expect("a call that ends").expect("an answer");
                let text = String::from_utf8_lossy(&reply.body).into_owned();
                answers.push(Answer { status: reply.status, text });
            }
            answers
        })
    }

    /// Sets a run up with these settings, which must go well.
    pub fn set_up(&self, settings: &Value) -> Run {
        self.set_up_as(settings, None)
    }

    /// The same, by the call of this name, after which the run is named.
    pub fn set_up_as(&self, settings: &Value, call_id: Option<&str>) -> Run {
        let answer = self.call("emnist-setup", settings.to_string().as_bytes(), call_id).json(200);
        self.run(answer["run"].as_str().expect("the run's name"))
    }

    /// The run of this name.
    pub fn run(&self, name: &str) -> Run {
        let store = RedisStore::open(&self.store_url).expect("the store's address");
        Run::open(Arc::new(store), name).expect("a run")
    }

    /// Stores a secret.
    pub fn put_secret(&self, name: &str, value: &str) {
        let (name, value) = (name.to_owned(), Some(value.to_owned()));
        let secret = Secret { name, value, ..Secret::default() };
        self.runtime.block_on(self.gateway.put_secret(&secret)).expect("a secret");
    }

    /// Deploys the functions of a stack, as `faas-cli deploy` does.
    pub fn deploy(&self, stack: &Stack) {
        for function in stack.deployments() {
            self.runtime.block_on(self.gateway.deploy(&function)).expect("deploy");
        }
    }

    /// Asks for a number of replicas.
    pub fn scale(&self, function: &str, replicas: u64) {
        self.runtime.block_on(self.gateway.scale(function, replicas)).expect("scale");
    }

    /// Sends a request as kubectl would, which must be answered with 200; the answer.
    pub fn kubernetes(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Value {
        let request = reqwest::Client::new()
            .request(method, format!("{}{path}", self.gateway_url))
            .header(CONTENT_TYPE, content_type)
            .body(body.to_string());
        self.runtime.block_on(async {
            let response = request.send().await.expect("an answer");
            let (status, text) = (response.status().as_u16(), response.text().await.expect("a body"));
            Answer { status, text }.json(200)
        })
    }

    /// Runs the real kubectl to its end.
    ///
    /// # Panics
    /// There is none.
    pub fn kubectl(&self, args: &[&str]) -> Finished {
        let mut command = Command::new("kubectl");
        // What it remembers of servers must not outlive this one.
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .arg("--cache-dir")
            .arg(self.place.path("kubectl"))
            .args(args);
        Finished::new(&command.output().expect("kubectl is needed"))
    }

    /// Waits for an event of a run that `pick` wants.
    pub fn await_event<T>(&self, run: &Run, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let mut cursor = "0".to_owned();
        eventually(what, || {
            let news = run.events(&cursor, Duration::from_millis(50)).expect("events");
            news.into_iter().find_map(|(id, event)| {
                cursor = id;
                pick(&event)
            })
        })
    }

    /// Waits until `worker` is well on its way; returns the replica that it is in.
    pub fn await_progress(&self, run: &Run, worker: u32) -> Process {
        self.replica(&self.await_progress_pod(run, worker))
    }

    /// Waits until `worker` is well on its way; returns the name of the replica that it is in.
    pub fn await_progress_pod(&self, run: &Run, worker: u32) -> String {
        let mut place = None;
        self.await_event(run, "a worker is on its way", |event| match event {
            Event::Started { worker: started, pod, .. } if *started == worker => {
                place = Some(pod.clone());
                None
            }
            Event::Progress { worker: moved, .. } if *moved == worker => place.clone(),
            _ => None,
        })
    }

    /// Waits until a run is over.
    pub fn await_end(&self, run: &Run) -> RunStatus {
        let status = || run.status().expect("a status");
        within_limit(|| Some(status()).filter(RunStatus::is_over)).unwrap_or_else(|| {
            let logs = self.logs("emnist-train");
            panic!("run {} does not end: {:#?}\n{logs}", run.name(), status())
        })
    }

    /// A run's report.
    pub fn report(&self, run: &Run) -> Value {
        self.place.json(&["report", run.name()])
    }

    /// The process of the replica of this name.
    pub fn replica(&self, pod: &str) -> Process {
        let found = self.place.processes().into_iter().find(|process| process.is_pod(pod));
        found.unwrap_or_else(|| panic!("no replica {pod}"))
    }

    /// The processes of a function's replicas.
    pub fn replicas(&self, function: &str) -> Vec<Process> {
        self.place.processes().into_iter().filter(|process| process.program == function).collect()
    }

    /// The process of the Redis that this platform started for a virtual node, while it runs.
    pub fn store_of(&self, node: &str) -> Option<Process> {
        let folder = self.place.path("state").join(node);
        self.place.processes().into_iter().find(|process| process.works_in(&folder))
    }

    /// Every key in Redis that matches `pattern`, sorted.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        redis_keys::matching(&self.store_url, pattern)
    }

    /// What functions wrote.
    pub fn logs(&self, function: &str) -> String {
        self.place.downpour(&["logs", function]).succeeded()
    }

    /// Stops it with `downpour down`; the place, and how `downpour up` ended.
    pub fn down(mut self) -> (Place, Finished) {
        self.place.downpour(&["down"]).succeeded();
        let finished = self.up.wait();
        (self.place, finished)
    }

    /// Sends a signal to `downpour up`, which is the gateway.
    pub fn signal(&self, signal: Signal) {
        self.up.signal(signal);
    }

    /// Kills `downpour up` as a crash would; the place.
    pub fn kill(self) -> Place {
        drop(self.up);
        self.place
    }
}
