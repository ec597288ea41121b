//! A gateway that is killed while calls are queued and running.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use support::eventually;
use support::process::{Home, lines};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_done_by_the_next_gateway() {
    let home = Home::new();
    let server = Arc::new(home.start(8));
    server.deploy("fn", json!({"labels": {"com.openfaas.scale.min": "3"}})).await;
    let path = format!("/async-function/fn/alone?folder={}", home.path("").display());
    // Killed in the middle of the second half, when some of the first are done.
    let mut accepted = server.queue(&path, 0..200).await;
    assert_eq!(accepted.len(), 200);
    let more = tokio::spawn({
        let (server, path) = (server.clone(), path.clone());
        async move { server.queue(&path, 200..400).await }
    });
    eventually(async || (lines(&home.path("done")).len() > 20).then_some(())).await;
    server.kill();
    accepted.extend(more.await.unwrap());
    drop(server);
    let _next = home.start(8);
    let accepted: BTreeSet<String> = accepted.into_iter().collect();
    eventually(async || {
        let done: BTreeSet<String> = lines(&home.path("done")).into_iter().collect();
        accepted.is_subset(&done).then_some(())
    })
    .await;
    eventually(async || (std::fs::read_dir(home.path("state/queue")).unwrap().count() == 0).then_some(()))
        .await;
    assert_eq!(lines(&home.path("twice")), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_called_again_before_what_the_killed_gateway_called_has_ended() {
    let home = Home::new();
    let (linger, hold) = (home.path("linger"), home.path("hold"));
    for file in [&linger, &hold] {
        std::fs::write(file, "").unwrap();
    }
    let server = Arc::new(home.start(4));
    // Its replica finishes the calls that it has when its gateway dies, as functions do.
    server.deploy("fn", json!({"envVars": {"linger_while": linger}})).await;
    let path = format!("/async-function/fn/alone?folder={}", home.path("").display());
    assert_eq!(server.queue(&path, 0..20).await.len(), 20);
    eventually(async || (lines(&home.path("begun")).len() == 4).then_some(())).await;
    server.kill();
    drop(server);

    let next = Arc::new(home.start(4));
    next.ready("fn").await;
    // New calls are made although the old ones wait.
    let folder = home.path("new");
    std::fs::create_dir(&folder).unwrap();
    let new = format!("/async-function/fn/alone?folder={}", folder.display());
    assert_eq!(next.queue(&new, 0..1).await.len(), 1);
    eventually(async || (lines(&folder.join("done")).len() == 1).then_some(())).await;
    assert_eq!(lines(&home.path("begun")).len(), 4);
    std::fs::remove_file(&hold).unwrap();
    eventually(async || (lines(&home.path("done")).len() == 4).then_some(())).await;
    std::fs::remove_file(&linger).unwrap();
    eventually(async || {
        let done: BTreeSet<String> = lines(&home.path("done")).into_iter().collect();
        (done.len() == 20).then_some(())
    })
    .await;
    assert_eq!(lines(&home.path("twice")), [""; 0]);
}
