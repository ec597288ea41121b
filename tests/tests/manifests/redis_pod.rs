//! The Redis of a manifest as a process: what the kubelet does with its pod, done here. Volumes become folders,
//! the paths where they are mounted those folders' names, and its Unix socket stands for the Service.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use scenarios::eventually;
use serde_json::Value;
use tempfile::TempDir;

use crate::manifest::{self, Manifest, PodTemplate, list, text};

/// The value of every secret, with the line feed that files end with.
pub(crate) fn password(secret: &str) -> String {
    format!("the-{secret}-of-a-test")
}

/// A running Redis; killed when it is dropped.
pub(crate) struct RedisPod {
    folder: TempDir,
    pods: PodTemplate,
    process: Child,
}

impl RedisPod {
    /// The Redis of `file`, below `deploy/`.
    pub(crate) fn start(file: &str) -> Self {
        Self::with_secret(file, &[], &[])
    }

    /// The same, with further arguments and these files in an optional secret: where it is mounted, and what is in it.
    pub(crate) fn with_secret(file: &str, arguments: &[&str], secret: &[(&str, &str)]) -> Self {
        let pods = manifest::of(file).iter().find_map(Manifest::pods).unwrap();
        let folder = TempDir::with_prefix("downpour-redis-pod-").unwrap();
        for (path, content) in secret {
            let path = folder_of(folder.path(), path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        mount(folder.path(), &pods);
        let process = launch(folder.path(), &pods, arguments);
        let pod = Self { folder, pods, process };
        eventually("Redis is ready", || pod.probe("readinessProbe").then_some(()));
        pod
    }

    /// Kills it, and starts it with the same volumes and further arguments.
    pub(crate) fn crash_and_restart(&mut self, arguments: &[&str]) {
        self.end(Signal::KILL);
        self.process = launch(self.folder.path(), &self.pods, arguments);
    }

    /// Its address, without a password.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// The folder with the secrets as functions have them mounted, a file each.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.folder.path().join("run/secrets/redis")
    }

    fn socket(&self) -> PathBuf {
        folder_of(self.folder.path(), "/run/redis/redis.sock")
    }

    /// Whether the kubelet would find the probe to succeed.
    pub(crate) fn probe(&self, probe: &str) -> bool {
        let command = list(&self.pods.containers()[0][probe]["exec"]["command"]);
        let words: Vec<String> =
            command.iter().map(|word| in_pod(self.folder.path(), &self.pods, text(word))).collect();
        Command::new(&words[0]).args(&words[1..]).output().expect("the probe").status.success()
    }

    /// What Redis answers to a user's command.
    pub(crate) fn ask(&self, user: &str, password: &str, command: &[&str]) -> String {
        let login = ["--no-auth-warning", "--user", user, "--pass", password];
        let mut cli = Command::new("redis-cli");
        let output = cli.arg("-s").arg(self.socket()).args(login).args(command).output().expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn end(&mut self, signal: Signal) {
        let id = Pid::from_raw(self.process.id().cast_signed()).unwrap();
        // Fails only for one that has ended already.
        let _ = kill_process(id, signal);
        self.process.wait().unwrap();
    }
}

impl Drop for RedisPod {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

/// The folder that a path in the pod is.
fn folder_of(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Makes the folders of all volumes, and fills those of ConfigMaps and secrets.
fn mount(root: &Path, pods: &PodTemplate) {
    for mount in list(&pods.containers()[0]["volumeMounts"]) {
        let folder = folder_of(root, text(&mount["mountPath"]));
        fs::create_dir_all(&folder).unwrap();
        // The claim of a StatefulSet is no volume of its pods' spec, and begins empty.
        let Some(volume) = list(&pods.spec["volumes"]).iter().find(|volume| volume["name"] == mount["name"])
        else {
            continue;
        };
        if let Some(name) = volume["configMap"]["name"].as_str() {
            for (file, content) in config_map(name) {
                fs::write(folder.join(file), in_pod(root, pods, &content)).unwrap();
            }
        }
        for source in list(&volume["projected"]["sources"]) {
            let secret = text(&source["secret"]["name"]);
            fs::write(folder.join(secret), password(secret) + "\n").unwrap();
        }
        if mount["readOnly"] == true {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
        }
    }
}

fn config_map(name: &str) -> Vec<(String, String)> {
    let maps = manifest::all().into_iter().filter(|manifest| manifest.kind() == "ConfigMap");
    let map = maps.into_iter().find(|manifest| manifest.name() == name).expect("the ConfigMap");
    let files = map.value["data"].as_object().unwrap();
    files.iter().map(|(file, content)| (file.clone(), text(content).to_owned())).collect()
}

/// A text with the paths of the pod replaced by those that they are here.
fn in_pod(root: &Path, pods: &PodTemplate, content: &str) -> String {
    let mounts = list(&pods.containers()[0]["volumeMounts"]).iter();
    mounts.map(|mount| text(&mount["mountPath"])).fold(content.to_owned(), |content, path| {
        content.replace(path, folder_of(root, path).to_str().unwrap())
    })
}

fn launch(root: &Path, pods: &PodTemplate, further: &[&str]) -> Child {
    let container = pods.containers()[0];
    let words = |field: &str| -> Vec<String> {
        list(&container[field]).iter().map(|word: &Value| in_pod(root, pods, text(word))).collect()
    };
    let (command, arguments) = (words("command"), words("args"));
    let log = fs::File::create(root.join("log")).unwrap();
    Command::new(&command[0])
        .args(&command[1..])
        .args(arguments)
        .args(["--port", "0"])
        .args(further)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
