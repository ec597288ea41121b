use proptest::prelude::*;
use serde_json::json;

use super::*;

fn environment(variable: &str, value: &str) -> Result<Settings, SettingsError> {
    Settings::from_environment(|name| (name == variable).then(|| value.to_owned()))
}

fn body(body: &str) -> Result<Settings, SettingsError> {
    Settings::default().overridden_by_json(body.as_bytes())
}

#[test]
fn defaults_are_those_of_the_table() {
    let settings = Settings::default();
    for setting in table() {
        assert_eq!((setting.get)(&settings), setting.default, "{}", setting.variable);
        assert!(!settings.is_given(setting.variable));
    }
    assert_eq!(settings, Settings::from_environment(|_| None).unwrap());
    assert_eq!(settings.to_json(), json!({}));
    assert_eq!((settings.workers, settings.epochs), (Workers::Fixed(2), 55));
    assert_eq!(settings.hidden, [100]);
    assert_eq!(settings.cache_folder(), std::env::temp_dir().join("downpour"));
}

#[test]
fn names_are_unique_and_well_formed() {
    let (mut variables, mut flags) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for setting in table() {
        assert!(variables.insert(setting.variable), "{}", setting.variable);
        assert!(setting.variable.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        assert!(setting.flag.is_none_or(|flag| flags.insert(flag) && !flag.contains('_')));
        assert!(!setting.help.is_empty() && !setting.help.contains('|'));
    }
}

#[test]
fn environment_then_body_then_flag() {
    let variables = [("alpha", "0.25"), ("batch_size", " 64 "), ("n_push", ""), ("PATH", "/bin")];
    let settings = Settings::from_environment(|name| {
        variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    })
    .unwrap();
    assert_eq!((settings.learning_rate, settings.batch_size, settings.n_push), (Some(0.25), 64, 10));
    let settings =
        settings.overridden_by_json(br#"{"alpha": 1e-1, "seed": "7", "hidden_size": [256, 128]}"#).unwrap();
    assert_eq!((settings.learning_rate, settings.seed, settings.batch_size), (Some(0.1), 7, 64));
    assert_eq!(settings.hidden, [256, 128]);
    let settings = settings.overridden_by_flag("--learning-rate", "0.3").unwrap();
    let settings = settings.overridden_by_flag("epochs", "55").unwrap();
    assert_eq!(settings.learning_rate, Some(0.3));
    // What is given is sent even where it is the default: the other side's environment may differ.
    let sent = settings.to_json();
    assert_eq!(sent["iterations"], "55");
    assert_eq!(sent["hidden_size"], "256,128");
    assert_eq!(sent.as_object().unwrap().len(), 5, "{sent}");
    let received = environment("iterations", "3").unwrap();
    let received = received.overridden_by_json(sent.to_string().as_bytes()).unwrap();
    assert_eq!(received, settings);
}

#[test]
fn an_empty_body_changes_nothing() {
    for empty in ["", " \n", "{}"] {
        assert_eq!(body(empty).unwrap(), Settings::default());
    }
}

#[test]
fn none_takes_back_what_the_environment_gave() {
    let settings = environment("target_accuracy", "0.75").unwrap();
    assert_eq!(settings.target_accuracy, Some(0.75));
    let settings = settings.overridden_by_flag("target-accuracy", "none").unwrap();
    assert_eq!(settings.target_accuracy, None);
    assert_eq!(settings.to_json(), json!({"target_accuracy": "none"}));
}

#[test]
fn hidden_layers_are_a_list_of_any_form() {
    for (text, widths) in [
        ("100", [100].as_slice()),
        ("256, 128", &[256, 128]),
        ("[256,128]", &[256, 128]),
        ("none", &[]),
        ("0", &[]),
        ("[]", &[]),
    ] {
        assert_eq!(environment("hidden_size", text).unwrap().hidden, widths, "{text}");
    }
    for text in ["256,", "256,0", "65537", "a", "[1", &vec!["1"; 65].join(",")] {
        assert!(environment("hidden_size", text).is_err(), "{text}");
    }
    assert!(environment("hidden_size", &vec!["1"; 64].join(",")).is_ok());
}

#[test]
fn a_gateway_may_be_a_bare_host() {
    for (text, url) in [
        ("gateway", "http://gateway:8080"),
        ("gateway.openfaas:80", "http://gateway.openfaas"),
        ("127.0.0.1:31112", "http://127.0.0.1:31112"),
        ("[::1]:9", "http://[::1]:9"),
        ("http://g/", "http://g"),
        ("http://g:1/base/", "http://g:1/base"),
    ] {
        assert_eq!(environment("gateway_hostname", text).unwrap().gateway, url, "{text}");
    }
    for text in ["https://g", "http://", "g/path", "a b", "http://u:p@g", "g:99999", "http://g?x"] {
        let error = environment("gateway_hostname", text).unwrap_err().to_string();
        let expected = "wanted HOST, HOST:PORT or http://HOST[:PORT]";
        assert_eq!(error, format!("variable `gateway_hostname`: found {text:?}, {expected}"));
    }
}

#[test]
fn a_store_url_is_checked_and_its_password_never_shown() {
    for url in ["redis://h", "rediss://u@h", "redis://u:p%40@h:1/2", "redis://:p@h", "unix:///run/redis.sock"]
    {
        let settings = environment("store_url", url).unwrap();
        assert_eq!(settings.store_url.as_str(), url);
        assert_eq!(settings.to_json()["store_url"], url);
    }
    let settings = environment("store_url", "redis://u:hush@h").unwrap();
    assert_eq!(settings.store_url.to_string(), "redis://***@h");
    assert!(!format!("{settings:?}").contains("hush"));
    assert_eq!(
        environment("store_url", "http://u:hush@h").unwrap_err().to_string(),
        "variable `store_url`: found \"http://***@h\", wanted \
         redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE] or unix:///PATH"
    );
    for url in ["h:6379", "redis://", "unix://", "rediss://"] {
        assert!(environment("store_url", url).is_err(), "{url}");
    }
}

#[test]
fn a_value_out_of_range_is_named_with_its_range() {
    for (variable, value, wanted) in [
        (
            "dataset",
            "imagenet",
            "one of auto, emnist-bymerge, emnist-byclass, emnist-balanced, emnist-letters, emnist-digits, emnist-mnist, mnist, fashion-mnist",
        ),
        ("dataset_source", "web", "one of files, store"),
        ("number_of_workers", "65", "a whole number from 1 to 64, or auto"),
        ("number_of_workers", "0", "a whole number from 1 to 64, or auto"),
        ("batch_size", "0", "a whole number from 1 to 65536"),
        ("batch_size", "3.0", "a whole number from 1 to 65536"),
        ("n_fetch", "-1", "a whole number from 1 to 1000000"),
        ("n_push", "1e3", "a whole number from 1 to 1000000"),
        ("alpha", "0", "a number above 0, or none"),
        ("alpha", "1e-60", "a number above 0, or none"),
        ("alpha", "NaN", "a number above 0, or none"),
        ("alpha", "inf", "a number above 0, or none"),
        ("lr_schedule", "step", "one of constant, linear, cosine"),
        ("iterations", "100001", "a whole number from 1 to 100000"),
        ("target_accuracy", "75", "a number above 0 and at most 1, or none"),
        ("hidden_size", "-", "one to 64 widths from 1 to 65536 such as 100 or 256,128, or none"),
        ("dropout_percent", "20", "a number from 0 and below 1"),
        ("dropout_percent", "0.99999999999", "a number from 0 and below 1"),
        ("optimizer", "adam", "one of sgd, momentum, adagrad"),
        ("algorithm", "mean", "one of downpour, average, easgd, diloco"),
        ("max_staleness", "-1", "a whole number from 0 to 1000000, or none"),
        ("staleness_lr", "halve", "one of keep, divide"),
        ("combine", "max", "one of mean, sum"),
        ("train_type", "4", "one of 1, 2, 3"),
        ("fan_out", "queue", "one of direct, async"),
        ("function_url", "http://functions/", "http://HOST[:PORT]/… or {gateway}/… with {function} in it"),
        ("database", "both", "one of global, local"),
        ("codec", "zip", "one of auto, f32, f16, int8, topk"),
        ("transpose", "true", "one of auto, yes, no"),
        ("seed", "-1", "a whole number from 0"),
        ("pixels_per_image", "0", "a whole number from 1 to 65536, or none"),
        ("num_labels", "257", "a whole number from 1 to 256, or none"),
        ("store_password_secret", "../x", "the name of a secret (a-z, 0-9, - and .), or none"),
        ("data_dir", "a\0b", "the path of a folder, or none"),
    ] {
        let error = environment(variable, value).unwrap_err().to_string();
        assert_eq!(error, format!("variable `{variable}`: found {value:?}, wanted {wanted}"));
        let error = body(&json!({ variable: value }).to_string()).unwrap_err().to_string();
        assert_eq!(error, format!("key `{variable}` of the request body: found {value:?}, wanted {wanted}"));
    }
    let error = Settings::default().overridden_by_flag("--batch-size", "").unwrap_err().to_string();
    assert_eq!(error, "--batch-size: found \"\", wanted a whole number from 1 to 65536");
}

#[test]
fn a_wrong_body_is_explained() {
    let known: Vec<_> = table().iter().map(|setting| setting.variable).collect();
    let known = known.join(", ");
    for (text, message) in [
        ("[1]", "the request body is no JSON object such as {\"alpha\": 0.5}: invalid type: sequence, expected an object at line 1 column 0".to_owned()),
        ("{\"alpha\": NaN}", "the request body is no JSON object such as {\"alpha\": 0.5}: expected value at line 1 column 11".to_owned()),
        ("{} x", "the request body is no JSON object such as {\"alpha\": 0.5}: trailing characters at line 1 column 4".to_owned()),
        ("{\"seed\": 1, \"seed\": 1}", "the request body has the key \"seed\" twice".to_owned()),
        ("{\"alfa\": 1}", format!("unknown key in the request body: \"alfa\", did you mean \"alpha\"?; there are {known}")),
        ("{\"learning_rate\": 1}", format!("unknown key in the request body: \"learning_rate\", did you mean \"alpha\"?; there are {known}")),
        ("{\"x\": 1}", format!("unknown key in the request body: \"x\"; there are {known}")),
        ("{\"seed\": null}", "key `seed` of the request body: found null, wanted a whole number from 0".to_owned()),
        ("{\"seed\": [1]}", "key `seed` of the request body: found [1], wanted a whole number from 0".to_owned()),
        ("{\"data_dir\": true}", "key `data_dir` of the request body: found true, wanted the path of a folder, or none".to_owned()),
        ("{\"hidden_size\": [[1]]}", "key `hidden_size` of the request body: found [[1]], wanted one to 64 widths from 1 to 65536 such as 100 or 256,128, or none".to_owned()),
    ] {
        assert_eq!(body(text).unwrap_err().to_string(), message);
    }
    let long = body(&" ".repeat(body::MAX_BODY + 1)).unwrap_err().to_string();
    assert_eq!(long, "the request body has 65537 bytes, wanted at most 65536");
    assert!(body(&format!("{{\"seed\": {}", "[".repeat(60_000))).is_err());
    assert!(body(&format!("{{\"{}\": 1}}", "x".repeat(60_000))).unwrap_err().to_string().len() < 1000);
}

#[test]
fn an_unknown_flag_is_named_with_the_nearest() {
    let error = Settings::default().overridden_by_flag("--batchsize", "1").unwrap_err().to_string();
    assert!(
        error.starts_with("unknown flag \"--batchsize\", did you mean --batch-size?; there are --dataset, "),
        "{error}"
    );
    let error = Settings::default().overridden_by_flag("--number-of-workers", "1").unwrap_err().to_string();
    assert!(error.contains("did you mean --workers?"), "{error}");
    // Settings without a flag have none.
    assert!(Settings::default().overridden_by_flag("num-labels", "1").is_err());
}

#[test]
fn the_reference_has_a_row_for_each() {
    let text = markdown();
    assert_eq!(text.lines().count(), table().len() + 2);
    assert!(text.lines().all(|line| line.matches('|').count() == 6), "{text}");
    assert!(
        text.contains("| `dropout_percent` | `--dropout` | `0.2` | a number from 0 and below 1 | part of")
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(row in 0..table().len(), text in "\\PC{0,40}|[0-9eE.,+\\-\\[\\]:/@a-z]{0,24}") {
        let setting = &table()[row];
        if let Ok(settings) = environment(setting.variable, &text) {
            // What was accepted travels unchanged.
            let sent = settings.to_json().to_string();
            prop_assert_eq!(body(&sent).unwrap(), settings);
        }
        let _ = Settings::default().overridden_by_flag(&text, &text);
    }

    #[test]
    fn no_body_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in "\\{(\"[a-z_]{1,8}\": ?[0-9\\[\\]\"x]{0,5},?){0,3}\\}") {
        let _ = Settings::default().overridden_by_json(&bytes);
        let _ = body(&text);
    }

    #[test]
    fn numbers_in_range_are_kept(alpha in 1e-30f32..1e30, seed in any::<u64>(), accuracy in 1e-9f64..=1.0) {
        let sent = json!({"alpha": alpha.to_string(), "seed": seed, "target_accuracy": accuracy.to_string()}).to_string();
        let settings = body(&sent).unwrap();
        prop_assert_eq!((settings.learning_rate, settings.seed, settings.target_accuracy), (Some(alpha), seed, Some(accuracy)));
    }
}

#[test]
fn workers_are_a_number_or_follow_replicas() {
    let workers = |text: &str| environment("number_of_workers", text).unwrap();
    assert_eq!(workers("auto").workers, Workers::Auto);
    assert_eq!(workers("64").workers.fixed(), Some(64));
    assert_eq!(workers("auto").to_json()["number_of_workers"], "auto");
}

#[test]
fn settings_that_do_not_go_together_are_named() {
    let given = |body: &str| Settings::default().overridden_by_json(body.as_bytes()).unwrap().check();
    for body in [
        "{}",
        r#"{"train_type": 1}"#,
        r#"{"train_type": 1, "number_of_workers": 1}"#,
        r#"{"train_type": 2, "number_of_workers": 4}"#,
        r#"{"algorithm": "average"}"#,
        r#"{"algorithm": "downpour", "combine": "mean"}"#,
    ] {
        assert_eq!(given(body), Ok(()), "{body}");
    }
    let error = given(r#"{"train_type": 1, "number_of_workers": 4}"#).unwrap_err().to_string();
    assert_eq!(
        error,
        "`number_of_workers` with `train_type` 1, a single function: found 4, wanted 1, or another train_type"
    );
    let error = given(r#"{"train_type": 1, "number_of_workers": "auto"}"#).unwrap_err().to_string();
    assert!(error.ends_with("found auto, wanted 1, or another train_type"), "{error}");
    let error = given(r#"{"algorithm": "average", "combine": "mean"}"#).unwrap_err().to_string();
    assert_eq!(
        error,
        "`combine` with `algorithm` average, which weights pushes itself: found mean, wanted none given, or algorithm downpour"
    );
}
