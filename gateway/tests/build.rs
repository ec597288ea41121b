//! `POST /build` as `faas-cli` uses it: real contexts, built by the real cargo, deployed and invoked.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

#[path = "support/faas_cli.rs"]
mod faas_cli;
mod support;

use std::fs;
use std::path::Path;

use faas_cli::{Entry, config, file, folder, signature, tar};
use openfaas::build::{BuildResult, BuildStatus};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use support::{Platform, deployment, eventually};

const SECRET: &str = "payload secret";

/// As little of a function as a gateway needs, without any dependency: it answers with a text.
const MAIN: &str = r#"
use std::io::{Read, Write};

fn main() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let listener = std::net::TcpListener::bind(format!("127.0.0.1:{}", std::env::var("port").unwrap())).unwrap();
    for mut call in listener.incoming().flatten() {
        let _ = call.read(&mut [0; 4096]);
        let (answer, end) = (TEXT.to_owned() + shared::TEXT, "Connection: close\r\n\r\n");
        let _ = write!(call, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{end}{answer}", answer.len());
    }
}
"#;

fn platform() -> Platform {
    Platform::start_with(|config| {
        let secret = config.image_dir.join("payload-secret");
        fs::write(&secret, format!("  {SECRET}\n")).unwrap();
        config.payload_secret = Some(secret);
    })
}

/// A context as that of the template: a workspace with the handler, and a crate that is copied beside it. Both handlers
/// of two functions are called `function`, as `faas-cli new` makes them.
fn context(text: &str) -> Vec<Entry> {
    let package = "[package]\nname = \"function\"\nedition = \"2021\"\n[dependencies]\nshared = { path = \"shared\" }\n";
    let main = format!("const TEXT: &str = {text:?};\n{MAIN}");
    vec![
        folder("context"),
        file("context/Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"function\"]\n"),
        file("context/Dockerfile", "FROM scratch\n"),
        folder("context/function"),
        file("context/function/Cargo.toml", package),
        folder("context/function/shared"),
        file("context/function/shared/Cargo.toml", "[package]\nname = \"shared\"\nedition = \"2021\"\n"),
        folder("context/function/shared/src"),
        file("context/function/shared/src/lib.rs", "pub const TEXT: &str = \"!\";\n"),
        folder("context/function/src"),
        file("context/function/src/main.rs", &main),
    ]
}

/// Sends what builds `image` of `entries`.
async fn send(platform: &Platform, image: &str, mut entries: Vec<Entry>) -> Response {
    entries.push(config(image));
    let body = tar(&entries);
    let signature = signature(SECRET, &body);
    let request = platform.request(Method::POST, "/build").body(body);
    let request = request.header("X-Build-Signature", signature).header("Accept", "application/x-ndjson");
    let request = request.header("Content-Type", "application/octet-stream");
    request.send().await.unwrap()
}

fn parse(text: &str) -> Vec<BuildResult> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Builds `image`; the whole log, and how it ended.
async fn build(platform: &Platform, image: &str, entries: Vec<Entry>) -> (String, BuildResult) {
    let response = send(platform, image, entries).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let mut results = parse(&response.text().await.unwrap());
    let end = results.pop().unwrap();
    assert!(results.iter().all(|result| result.status == BuildStatus::InProgress));
    (results.into_iter().flat_map(|result| result.log).collect::<Vec<_>>().join("\n"), end)
}

/// Builds `image`, which must succeed; the log.
async fn built(platform: &Platform, image: &str, entries: Vec<Entry>) -> String {
    let (log, end) = build(platform, image, entries).await;
    let success = BuildResult {
        log: vec![],
        image: image.to_owned(),
        status: BuildStatus::Success,
        error: String::new(),
    };
    assert_eq!(end, success, "{log}");
    log
}

/// Builds `image`, which must fail; the log and the error.
async fn failed(platform: &Platform, image: &str, entries: Vec<Entry>) -> (String, String) {
    let (log, end) = build(platform, image, entries).await;
    assert_eq!(end.status, BuildStatus::Failed);
    (log, end.error)
}

async fn answers(platform: &Platform, name: &str, text: &str) {
    let path = format!("/function/{name}");
    eventually(async || {
        Some(platform.get(&path).await.text().await.unwrap()).filter(|answer| answer == text)
    })
    .await;
}

/// PUT as `faas-cli deploy` does.
async fn update(platform: &Platform, name: &str, image: &str) {
    let body = deployment(name, json!({"image": image}));
    let status = platform.send(Method::PUT, "/system/functions", &body).await.status();
    assert_eq!(status, StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_built_is_what_runs() {
    let mut platform = platform();
    let (one, two) = ("docker.io/me/one:1", "docker.io/me/two:1");
    let log = built(&platform, one, context("one")).await;
    assert!(log.contains("Compiling shared") && log.contains("Compiling function"), "{log}");
    // The same names, the same crate beside it: only what differs is compiled, and none is taken for the other.
    let log = built(&platform, two, context("two")).await;
    assert!(!log.contains("Compiling shared") && log.contains("Compiling function"), "{log}");
    platform.deploy("one", json!({"image": one})).await;
    platform.deploy("two", json!({"image": two})).await;
    answers(&platform, "one", "one!").await;
    answers(&platform, "two", "two!").await;

    let log = built(&platform, one, context("one")).await;
    assert_eq!(log, "docker.io/me/one:1: nothing has changed since it was built");
    built(&platform, one, context("new")).await;
    answers(&platform, "one", "one!").await;
    update(&platform, "one", one).await;
    answers(&platform, "one", "new!").await;
    answers(&platform, "two", "two!").await;

    platform.restart();
    answers(&platform, "one", "new!").await;
    let log = built(&platform, two, context("two")).await;
    assert!(log.contains("nothing has changed"), "{log}");
    // Another tag of the same sources is another image, and none of this made one of the other name.
    built(&platform, "docker.io/me/two:2", context("two")).await;
    let unknown = deployment("three", json!({"image": "docker.io/me/two:3"}));
    assert_eq!(platform.send(Method::POST, "/system/functions", &unknown).await.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_crate_with_another_content_is_not_mixed_up() {
    let platform = platform();
    let older = context("a");
    let mut newer = context("b");
    newer[8] = file("context/function/shared/src/lib.rs", "pub const TEXT: &str = \"?\";\n");
    built(&platform, "me/a", older.clone()).await;
    built(&platform, "me/b", newer).await;
    // Its files are older than what was built of the other's.
    let mut again = older;
    again.push(file("context/function/src/unused.rs", ""));
    built(&platform, "me/a", again).await;
    platform.deploy("a", json!({"image": "me/a"})).await;
    platform.deploy("b", json!({"image": "me/b"})).await;
    answers(&platform, "a", "a!").await;
    answers(&platform, "b", "b?").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_compile_is_no_image() {
    let platform = platform();
    let mut broken = context("broken");
    broken[10] = file("context/function/src/main.rs", "fn main() {\n    nowhere();\n}\n");
    let (log, error) = failed(&platform, "me/broken", broken).await;
    assert!(
        log.contains("cannot find function `nowhere` in this scope\n --> function/src/main.rs:2:5"),
        "{log}"
    );
    assert!(
        error.starts_with("cargo build failed (exit status: 101)\nerror[E0425]: cannot find function"),
        "{error}"
    );
    let deployment = deployment("fn", json!({"image": "me/broken"}));
    assert_eq!(platform.send(Method::POST, "/system/functions", &deployment).await.status(), 400);
    assert_eq!(files(&platform.path("state/images")), 0);

    for (changed, expected) in [
        (vec![(10, file("context/function/src/lib.rs", ""))], "the package has no program: wanted a [[bin]]"),
        (
            vec![
                (9, file("context/function/src/bin/a.rs", "fn main() {}")),
                (10, file("context/function/src/bin/b.rs", "fn main() {}")),
            ],
            "the package has several programs (a, b): wanted one",
        ),
        (
            vec![(1, file("context/package.json", "")), (4, file("context/function/main.js", ""))],
            "the context has no function/Cargo.toml and no Cargo.toml",
        ),
    ] {
        let mut context = context("x");
        for (at, entry) in changed {
            context[at] = entry;
        }
        let (_, error) = failed(&platform, "me/x", context).await;
        assert!(error.starts_with(expected), "{error}");
    }
}

/// How many files there are below a folder.
fn files(folder: &Path) -> usize {
    fs::read_dir(folder)
        .unwrap()
        .flatten()
        .fold(0, |count, entry| count + if entry.path().is_dir() { files(&entry.path()) } else { 1 })
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_signed_is_looked_at() {
    let platform = platform();
    let mut entries = context("x");
    entries.push(config("me/fn"));
    let body = tar(&entries);
    let right = signature(SECRET, &body);
    for header in
        [None, Some(signature("another", &body)), Some(right.replace("sha256=", "")), Some("sha256=".into())]
    {
        let mut request = platform.request(Method::POST, "/build").body(body.clone());
        if let Some(header) = header {
            request = request.header("X-Build-Signature", header);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.text().await.unwrap().contains("X-Build-Signature"));
    }
    assert_eq!(files(&platform.path("state/builds")), 0);
    assert_eq!(platform.get("/build").await.status(), 405);

    let off = Platform::start();
    let response = off.request(Method::POST, "/build").header("X-Build-Signature", right).body(body);
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 404);
    let text = response.text().await.unwrap();
    assert_eq!(text, "builds are off: the gateway was started without a payload secret\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_contexts_are_refused_by_name() {
    let platform = platform();
    let evil = file("context/../../evil", "");
    let (_, error) = failed(&platform, "me/fn", vec![evil]).await;
    assert!(error.starts_with("the tar's entry \"context/../../evil\" is not context/"), "{error}");
    let (_, error) = failed(&platform, "Me/FN!", context("x")).await;
    assert!(error.starts_with("image \"FN!\" is not a DNS label"), "{error}");
    let foreign = r#"{"image":"me/fn","platforms":["solaris/sparc"]}"#;
    let body = tar(&[file("context/Cargo.toml", ""), file("com.openfaas.docker.config", foreign)]);
    let signature = signature(SECRET, &body);
    // A client that reads no stream gets the end, with the whole log.
    let response = platform.request(Method::POST, "/build").body(body).header("X-Build-Signature", signature);
    let result: BuildResult = response.send().await.unwrap().json().await.unwrap();
    assert!(result.error.starts_with("platforms are solaris/sparc: only linux/"), "{}", result.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_see_nothing_of_the_gateways_environment() {
    let platform = platform();
    let mut context = context("x");
    let print = r#"fn main() { for (name, _) in std::env::vars() { println!("cargo::warning={name}"); } }"#;
    context.push(file("context/function/build.rs", print));
    let log = built(&platform, "me/fn", context).await;
    let names = log.lines().filter_map(|line| line.strip_prefix("warning: function@0.0.0: "));
    // Cargo's own, and where tools, crates and proxies are.
    let own = ["CARGO", "RUST", "DEP_", "SSL_", "LD_", "DYLD_"];
    let exact = [
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "CC",
        "CXX",
        "AR",
        "OUT_DIR",
        "TARGET",
        "HOST",
        "NUM_JOBS",
        "OPT_LEVEL",
        "PROFILE",
        "DEBUG",
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "no_proxy",
        "NO_PROXY",
    ];
    let leaked: Vec<_> =
        names.filter(|name| !own.iter().any(|own| name.starts_with(own)) && !exact.contains(name)).collect();
    assert_eq!(leaked, Vec::<&str>::new());
    assert!(log.contains("function@0.0.0: OUT_DIR"), "{log}");
}

/// A context whose build script writes its process' id to a file and never ends.
fn endless(at: &Path) -> Vec<Entry> {
    let script = format!(
        "fn main() {{ std::fs::write({at:?}, std::process::id().to_string()).unwrap(); loop {{ std::thread::park(); }} }}"
    );
    let mut context = context("endless");
    context.push(file("context/function/build.rs", &script));
    context
}

async fn process_in(file: &Path) -> String {
    eventually(async || fs::read_to_string(file).ok().filter(|id| !id.is_empty())).await
}

async fn ended(process: &str) {
    let status = format!("/proc/{process}/stat");
    // One that is dead and not yet waited for has ended, too.
    let running = || fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z "));
    eventually(async || Some(()).filter(|()| !running())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_its_build_and_nobody_elses() {
    let platform = platform();
    let id = platform.path("id");
    let mut response = send(&platform, "me/endless", endless(&id)).await;
    let first = response.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("in_progress"));
    let process = process_in(&id).await;
    let waiting = build(&platform, "me/fn", context("waited"));
    let leaving = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        drop(response);
        ended(&process).await;
    };
    let ((log, end), ()) = tokio::join!(waiting, leaving);
    assert_eq!(end.status, BuildStatus::Success, "{log}");
    assert!(log.starts_with("waiting for another build to end\n"), "{log}");
    platform.deploy("fn", json!({"image": "me/fn"})).await;
    answers(&platform, "fn", "waited!").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_ends_says_that_the_build_failed() {
    let platform = platform();
    let id = platform.path("id");
    let response = send(&platform, "me/endless", endless(&id)).await;
    let process = process_in(&id).await;
    let (_, text) = tokio::join!(platform.shutdown(), response.text());
    let end = parse(&text.unwrap()).pop().unwrap();
    // Without that line faas-cli would take the end of the stream for a success.
    assert_eq!((end.status, end.error.as_str()), (BuildStatus::Failed, "the gateway is shutting down"));
    ended(&process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_at_once_do_not_disturb_each_other() {
    let platform = platform();
    let names = ["a", "b", "c"];
    let [a, b, c] = names.map(|name| {
        let (platform, image) = (&platform, format!("me/{name}:1"));
        async move { built(platform, &image, context(name)).await }
    });
    tokio::join!(a, b, c);
    for name in names {
        platform.deploy(name, json!({"image": format!("me/{name}:1")})).await;
        answers(&platform, name, &format!("{name}!")).await;
    }
}
