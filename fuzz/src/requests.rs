//! What functions and gateway are sent, and stack files.

use kit::Order;
use openfaas::stack::Stack;
use platform::settings::Settings;
use sgd_lib::downpour::run_name;
use sgd_lib::store::RunKeys;

/// The body of a call of `emnist-setup`. Settings that were read are the same when they are written and read.
#[expect(clippy::expect_used, reason = "that it fails is what is looked for")]
pub(crate) fn settings(bytes: &[u8]) -> bool {
    let Ok(settings) = Settings::default().overridden_by_json(bytes) else { return false };
    let written = settings.to_json();
    let again = Settings::default().overridden_by_json(written.to_string().as_bytes());
    assert_eq!(again.expect("what was written can be read").to_json(), written);
    settings.check().is_ok()
}

/// The body of a call of `emnist-train`, and an id of a call, of which a run's name is made.
#[expect(clippy::expect_used, reason = "that it fails is what is looked for")]
pub(crate) fn order(bytes: &[u8]) -> bool {
    let name = run_name("emnist-bymerge", &String::from_utf8_lossy(bytes));
    assert!(RunKeys::new(&name).is_ok(), "{name}");
    let Ok(order) = Order::parse(bytes) else { return false };
    let body = order.to_body().expect("an order can be written");
    assert_eq!(Order::parse(&body).as_ref(), Ok(&order));
    RunKeys::new(&order.run).is_ok()
}

/// The body of a deployment.
pub(crate) fn deployment(bytes: &[u8]) -> bool {
    gateway::fuzzing::deployment(bytes)
}

/// The other bodies under `/system`.
pub(crate) fn messages(bytes: &[u8]) -> bool {
    gateway::fuzzing::messages(bytes)
}

/// A build's context.
pub(crate) fn context(bytes: &[u8]) -> bool {
    gateway::fuzzing::context(bytes)
}

/// A request to the kubectl API.
pub(crate) fn kubernetes(bytes: &[u8]) -> bool {
    gateway::fuzzing::kubernetes(bytes)
}

/// Parts of paths, headers and answers.
pub(crate) fn texts(bytes: &[u8]) -> bool {
    gateway::fuzzing::texts(bytes)
}

/// A stack file, with the variables that it is substituted from.
pub(crate) fn stack(bytes: &[u8]) -> bool {
    let lookup = |name: &str| match name {
        "A" => Some("a/b a/b Straße".to_owned()),
        "B" => Some("x".repeat(400)),
        _ => None,
    };
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    Stack::parse(text, lookup).is_ok_and(|stack| {
        assert_eq!(stack.deployments().len(), stack.functions.len());
        true
    })
}
