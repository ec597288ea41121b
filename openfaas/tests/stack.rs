//! Stack files, as faas-cli reads them.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise")]

use openfaas::stack::{MAX_FILE, Stack, StackError};
use openfaas::types::Resources;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Stack, StackError> {
    Stack::parse(text, |name| (name == "REGISTRY").then(|| "example.org:5000/me".to_owned()))
}

/// The error for one function's field.
fn error_in_function(field: &str) -> String {
    parse(&format!("provider: {{name: openfaas}}\nfunctions:\n  fn:\n    {field}\n")).unwrap_err().to_string()
}

#[test]
fn reads_every_field() {
    let stack = parse(
        r#"
version: 1.0
provider: {name: openfaas, gateway: "http://127.0.0.1:8080"}
configuration: {copy: [sgd-lib]}
functions:
  zebra:
    lang: rust-sgd
    handler: ./zebra
    image: ${REGISTRY}/zebra
    fprocess: ./zebra
    namespace: openfaas-fn
    environment: {alpha: 0.50, count: 10, flag: yes, on: true, empty: , quoted: "0x1F", hex: 0x1F, inf: .inf}
    secrets: [password, 7]
    constraints: ["node == a"]
    labels: {com.openfaas.scale.min: 2}
    annotations: {topic: t}
    limits: {memory: 64Mi, cpu: 0.50}
    requests: {memory: 32Mi}
    readonly_root_filesystem: yes
    skip_build: true
    build_args: {a: [1]}
  ant:
    image: ${NONE:-ant}:1
    labels:
    secrets: ~
"#,
    )
    .unwrap();
    assert_eq!(stack.provider.gateway, "http://127.0.0.1:8080");
    let deployments = stack.deployments();
    assert_eq!(deployments.iter().map(|d| d.service.as_str()).collect::<Vec<_>>(), ["zebra", "ant"]);
    assert_eq!(deployments[1].image, "ant:1");
    let zebra = &deployments[0];
    assert_eq!(zebra.image, "example.org:5000/me/zebra:latest");
    let variables: Vec<_> = zebra.env_vars.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let expected =
        ["alpha=0.50", "count=10", "empty=", "flag=yes", "hex=0x1F", "inf=.inf", "on=true", "quoted=0x1F"];
    assert_eq!(variables, expected);
    assert_eq!(zebra.secrets, ["password", "7"]);
    assert_eq!(zebra.labels["com.openfaas.scale.min"], "2");
    assert_eq!(zebra.limits, Some(Resources { memory: Some("64Mi".into()), cpu: Some("0.50".into()) }));
    assert_eq!(zebra.requests, Some(Resources { memory: Some("32Mi".into()), cpu: None }));
    assert!(zebra.read_only_root_filesystem && stack.functions[0].skip_build);
}

#[test]
fn anchors_and_merge_keys_work() {
    let stack = parse(
        "provider: {name: openfaas}\nx: &common {environment: {a: 1.50}}\nfunctions:\n  \
         fn:\n    <<: *common\n    image: i\n",
    )
    .unwrap();
    assert_eq!(stack.functions[0].environment["a"], "1.50");
}

#[test]
fn a_wrong_field_is_named_with_what_it_holds() {
    for (field, message) in [
        (
            "skip_build: \"true\"",
            "line 4: function `fn`, `skip_build`: found the text \"true\", wanted true or false",
        ),
        (
            "readonly_root_filesystem: 3",
            "line 4: function `fn`, `readonly_root_filesystem`: found 3, wanted true or false",
        ),
        ("secrets: one", "line 4: function `fn`, `secrets`: found the text \"one\", wanted a list"),
        ("secrets: [{a: 1}]", "line 4: function `fn`, `secrets`: found a mapping, wanted text"),
        ("environment: [a]", "line 4: function `fn`, `environment`: found a list, wanted a mapping"),
        ("environment: {a: [1]}", "line 4: function `fn`, `environment`, `a`: found a list, wanted text"),
        ("limits: {cpu: {}}", "line 4: function `fn`, `limits`, `cpu`: found a mapping, wanted text"),
        ("image: [a]", "line 4: function `fn`, `image`: found a list, wanted text"),
    ] {
        assert_eq!(error_in_function(field), message);
    }
}

#[test]
fn a_wrong_file_is_explained() {
    for (text, message) in [
        ("", "line 1: `provider.name`: found nothing, wanted openfaas"),
        ("provider: {name: faas}", "line 1: `provider.name`: found the text \"faas\", wanted openfaas"),
        ("provider: {name: openfaas}\nversion: 1.1", "line 2: `version`: found 1.1, wanted 1.0"),
        ("- a", "line 1: the file: found a list, wanted a mapping"),
        ("provider: {name: openfaas}\nfunctions: [a]", "line 2: `functions`: found a list, wanted a mapping"),
        ("provider: {name: openfaas}\nfunctions:\n  f: 1", "line 3: function `f`: found 1, wanted a mapping"),
        (
            "a: ${b",
            "line 1: found \"${b\", wanted a substitution such as ${NAME} or ${NAME:-default} ($$ stands for one dollar sign), and at most 1048576 bytes in all",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), message);
    }
    for text in ["a: 1\na: 2", "a: [", "a: 1\n---\nb: 2", "a: \"\\q\""] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.starts_with("not valid YAML: ") && message.contains("line "), "{message}");
    }
}

#[test]
fn size_is_bounded_before_and_after_substitution() {
    let message = parse(&"#".repeat(MAX_FILE + 1)).unwrap_err().to_string();
    assert_eq!(message, "the text has 1048577 bytes, wanted at most 1048576");
    let grown = Stack::parse(&"${A}".repeat(1000), |_| Some("#".repeat(2000)));
    let message = grown.unwrap_err().to_string();
    assert!(
        message.starts_with("line 1: ") && message.ends_with("at most 1048576 bytes in all"),
        "{message}"
    );
    assert!(parse(&"[".repeat(MAX_FILE)).is_err());
    let bomb: String = (1..40).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1)).collect();
    assert!(parse(&format!("a0: &a0 [x]\n{bomb}")).is_err());
}

#[test]
fn environment_files_are_relative_to_the_stack_and_win() {
    let folder = std::env::temp_dir().join(format!("stack-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("stack.yml");
    let text = "provider: {name: openfaas}\nfunctions:\n  fn:\n    image: i\n    \
                environment: {a: 1, b: 1}\n    environment_file: [env.yml, more.yml]\n";
    std::fs::write(&path, text).unwrap();
    let missing = Stack::load(&path, |_| None).unwrap_err().to_string();
    assert_eq!(
        missing,
        format!("{}: No such file or directory (os error 2)", folder.join("env.yml").display())
    );
    std::fs::write(folder.join("env.yml"), "environment: {b: 2, c: 2}").unwrap();
    std::fs::write(folder.join("more.yml"), "environment:\n  c: [3]").unwrap();
    let wrong = Stack::load(&path, |_| None).unwrap_err().to_string();
    let expected = "line 2: `environment`, `c`: found a list, wanted text";
    assert_eq!(wrong, format!("{}: {expected}", folder.join("more.yml").display()));
    std::fs::write(folder.join("more.yml"), "environment:\n  c: 3").unwrap();
    let stack = Stack::load(&path, |_| None).unwrap();
    let variables: Vec<_> = stack.functions[0].environment.values().map(String::as_str).collect();
    assert_eq!(variables, ["1", "2", "3"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

proptest! {
    #[test]
    fn never_panics(text in "[a-c:\\[\\]{}$&*<\"'0-9.\n -]{0,60}") {
        let _ = parse(&text);
        let _ = parse(&format!("provider: {{name: openfaas}}\nfunctions:\n  f: {text}"));
    }

    #[test]
    fn scalars_keep_their_text(text in "[0-9][0-9a-z.]{0,12}") {
        let stack = parse(&format!("provider: {{name: openfaas}}\nfunctions:\n  f:\n    environment: {{x: {text}}}"));
        prop_assert_eq!(&stack.unwrap().functions[0].environment["x"], &text);
    }
}
