//! A function for the process tests: echoes, hangs, panics, or works on until it is told to stop.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use watchdog::{Call, Reply, StatusCode};

#[expect(clippy::panic, reason = "what a function may do, the server must survive")]
async fn handle(call: Call) -> Result<Reply, Infallible> {
    match call.path() {
        "/hang" => std::future::pending().await,
        "/panic" => panic!("on request"),
        "/until-stopped" => {
            call.shutdown().requested().await;
            Ok(Reply::text(StatusCode::OK, "stopped"))
        }
        "/background" => {
            work_on(&call);
            Ok(Reply::empty(StatusCode::ACCEPTED))
        }
        _ => {
            let mut reply = Reply::empty(StatusCode::OK);
            reply.body = call.body;
            Ok(reply)
        }
    }
}

/// Goes on after the reply, as a training function does.
fn work_on(call: &Call) {
    let (in_flight, shutdown) = (call.in_flight(), call.shutdown());
    std::thread::spawn(move || {
        while !shutdown.is_requested() {
            std::thread::sleep(Duration::from_millis(1));
        }
        eprintln!("background work saved");
        drop(in_flight);
    });
}

fn main() -> ExitCode {
    watchdog::run(handle)
}
