//! The function that the integration tests deploy: as little of OpenFaaS's contract as a gateway needs (`port`,
//! `/_/ready`, `/metrics`, an end on SIGTERM and with stdin), and a path for each thing that a test wants to see happen.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use http_body_util::channel::Channel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("exit_on_stdin_close") == "true" {
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            // As the watchdog does while a call is in flight.
            while Path::new(&std::env::var("linger_while").unwrap_or_default()).exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::process::exit(0);
        });
    }
    if Path::new(&variable("crash_while")).exists() {
        std::process::exit(3);
    }
    println!("listening as {}", variable("HOSTNAME"));
    let metrics = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", variable("metrics_port"))).await?;
    tokio::spawn(
        async move { axum::serve(metrics, Router::new().route("/metrics", any(metrics_text))).await },
    );
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", variable("port"))).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    axum::serve(listener, Router::new().route("/_/ready", any(ready)).fallback(answer))
        .with_graceful_shutdown(async move {
            if variable("ignore_sigterm") == "true" {
                std::future::pending::<()>().await;
            }
            terminated.recv().await;
        })
        .await
}

/// Ready, unless the file that the variable `ready_when` names is missing.
async fn ready() -> StatusCode {
    match std::env::var("ready_when") {
        Ok(path) if !Path::new(&path).exists() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

/// Works in the background while the file that the variable `works_while` names is there.
async fn metrics_text() -> String {
    let works = std::env::var("works_while").is_ok_and(|path| Path::new(&path).exists());
    format!("# TYPE http_requests_in_flight gauge\nhttp_requests_in_flight {}\n", u8::from(works))
}

async fn answer(Query(query): Query<HashMap<String, String>>, request: Request) -> Response {
    let text = |name: &str| query.get(name).cloned().unwrap_or_default();
    let number = |name: &str| text(name).parse::<u64>().unwrap_or_default();
    match request.uri().path() {
        "/echo" => echo(request),
        "/echo-whole" => echo_whole(request).await,
        "/pod" => std::env::var("HOSTNAME").unwrap_or_default().into_response(),
        "/variable" => std::env::var(text("name")).unwrap_or_else(|_| "(unset)".into()).into_response(),
        "/variables" => std::env::vars().map(|(name, _)| name + "\n").collect::<String>().into_response(),
        "/secret" => {
            let folder = std::env::var("secret_mount_path").unwrap_or_default();
            std::fs::read_to_string(Path::new(&folder).join(text("name"))).unwrap_or_default().into_response()
        }
        "/crash" => std::process::exit(1),
        "/crash-once" => crash_once(&text("file")),
        "/alone" => {
            // A task of its own: as a thread does, it goes on when whoever called has gone.
            let (folder, id) = (text("folder"), call_id(&request));
            let work = tokio::spawn(async move { alone(Path::new(&folder), &id).await });
            work.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
        "/zeros" => vec![0; number("bytes") as usize].into_response(),
        "/log" => {
            println!("{}", text("text"));
            eprintln!("{} on stderr", text("text"));
            StatusCode::OK.into_response()
        }
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(number("ms"))).await;
            "slept".into_response()
        }
        "/hold" => hold(&text("started"), &text("while")).await,
        "/stream" => stream(text("until")),
        "/break-off" => break_off(),
        "/upgrade" => upgrade(request),
        "/limit" => limit(&text("but")),
        "/fail-first" => {
            let answer = fail_first(&text("file"), number("times"), number("status"));
            ([("retry-after", text("retry-after"))], answer).into_response()
        }
        other => (StatusCode::NOT_FOUND, format!("no such path: {other}")).into_response(),
    }
}

fn call_id(request: &Request) -> String {
    let id = request.headers().get("x-call-id").and_then(|id| id.to_str().ok());
    id.unwrap_or_default().to_owned()
}

/// Ends the process, unless the file was made by an earlier call.
fn crash_once(file: &str) -> Response {
    if std::fs::File::create_new(file).is_ok() {
        std::process::exit(1);
    }
    "alive".into_response()
}

/// Notes the call as a line of the file `done` when it is over, which is not while there is a file `hold`. Two that are
/// made with one id at the same time are noted in the file `twice`.
async fn alone(folder: &Path, id: &str) -> Response {
    let note = |name: &str| {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(name));
        file.and_then(|mut file| file.write_all(format!("{id}\n").as_bytes()))
    };
    let Ok(own) = std::fs::File::create(folder.join(format!("call-{id}"))) else {
        return StatusCode::INSUFFICIENT_STORAGE.into_response();
    };
    // Held until the call or the process ends.
    if own.try_lock().is_err() {
        let _ = note("twice");
    }
    let _ = note("begun");
    while folder.join("hold").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    match note("done") {
        Ok(()) => id.to_owned().into_response(),
        Err(error) => (StatusCode::INSUFFICIENT_STORAGE, error.to_string()).into_response(),
    }
}

/// The request as it came: its line and headers as headers with a prefix, its body as the body.
fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut headers = HeaderMap::new();
    for (name, value) in &parts.headers {
        if let Ok(name) = format!("got-{name}").parse::<axum::http::HeaderName>() {
            headers.append(name, value.clone());
        }
    }
    let line = format!("{} {}", parts.method, parts.uri);
    if let Ok(line) = line.parse() {
        headers.insert("got-line", line);
    }
    (headers, Body::new(body)).into_response()
}

/// The body, once all of it is there, as the watchdog gives it to functions.
async fn echo_whole(request: Request) -> Response {
    match axum::body::to_bytes(request.into_body(), usize::MAX).await {
        Ok(bytes) => bytes.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// Notes that it began as a line of the file `started`, and goes on while the file `path` is there.
async fn hold(started: &str, path: &str) -> Response {
    let lines = std::fs::read_to_string(started).unwrap_or_default() + "started\n";
    if std::fs::write(started, lines).is_err() {
        return StatusCode::INSUFFICIENT_STORAGE.into_response();
    }
    while Path::new(path).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    "held".into_response()
}

/// One event at once, and another when the file `until` is there.
fn stream(until: String) -> Response {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        let _ = sender.send_data(Bytes::from_static(b"data: first\n\n")).await;
        while !Path::new(&until).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = sender.send_data(Bytes::from_static(b"data: second\n\n")).await;
    });
    ([("content-type", "text/event-stream")], Body::new(body)).into_response()
}

/// Begins an answer, and ends the connection in the middle of it.
fn break_off() -> Response {
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    tokio::spawn(async move {
        let _ = sender.send_data(Bytes::from_static(b"half")).await;
        sender.abort(std::io::ErrorKind::BrokenPipe.into());
    });
    Body::new(body).into_response()
}

/// Goes over to the protocol that the caller asks for, and then says everything back in capitals.
fn upgrade(mut request: Request) -> Response {
    let Some(protocol) = request.headers().get("upgrade").cloned() else {
        return (StatusCode::UPGRADE_REQUIRED, "no protocol asked for").into_response();
    };
    let caller = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(caller) = caller.await else { return };
        let mut caller = hyper_util::rt::TokioIo::new(caller);
        let mut buffer = [0; 256];
        while let Ok(read @ 1..) = caller.read(&mut buffer).await {
            buffer[..read].make_ascii_uppercase();
            if caller.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    });
    let connection = axum::http::HeaderValue::from_static("upgrade");
    (StatusCode::SWITCHING_PROTOCOLS, [("connection", connection), ("upgrade", protocol)]).into_response()
}

/// The watchdog's answer at its limit, from every replica but one.
fn limit(but: &str) -> Response {
    let pod = std::env::var("HOSTNAME").unwrap_or_default();
    if pod == but {
        return pod.into_response();
    }
    (StatusCode::TOO_MANY_REQUESTS, [("x-openfaas-internal", "faas-middleware")], "limit").into_response()
}

/// Notes each call as a line of `file`, and answers `status` to the first so many.
fn fail_first(file: &str, times: u64, status: u64) -> Response {
    let mut lines = std::fs::read_to_string(file).unwrap_or_default();
    lines.push_str("called\n");
    let calls = lines.lines().count() as u64;
    if std::fs::write(file, lines).is_err() {
        return StatusCode::INSUFFICIENT_STORAGE.into_response();
    }
    if calls <= times {
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        return status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE).into_response();
    }
    format!("call {calls}").into_response()
}
