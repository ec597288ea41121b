//! A platform whose own log can't be written.

use std::fs::File;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use scenarios::{Data, Place, eventually};

/// `/dev/full` takes nothing, as a file on a full disk.
fn mute(mut command: Command) -> Command {
    command.stderr(File::options().write(true).open("/dev/full").unwrap()).env("RUST_LOG", "debug");
    command
}

#[test]
fn a_platform_that_cannot_write_its_log_trains_and_ends_well() {
    let (place, data) = (Place::new(), Data::find());
    let mut up = mute(place.command(&["up", "--port", "0"]));
    let mut up = up.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    // Empty until all is up.
    let running = || std::fs::read(place.path("state/running.json")).ok();
    eventually("the platform is ready", || serde_json::from_slice::<serde_json::Value>(&running()?).ok());
    let mut train = mute(place.command(&["train", "--json", "--data-dir", data.folder(), "--epochs", "1"]));
    let output = train.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    kill_process(Pid::from_child(&up), Signal::TERM).unwrap();
    assert!(up.wait().unwrap().success());
}
