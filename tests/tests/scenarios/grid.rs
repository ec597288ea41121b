//! The batch experiments: a grid of two configurations, as small as they go.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use scenarios::{Data, Place, Platform, eventually};
use serde_json::Value;

/// A place with the grid's stack files.
fn place() -> Place {
    let place = Place::new();
    let folder = place.path("files");
    fs::create_dir(&folder).unwrap();
    place.downpour(&["grid", "--write-files", folder.to_str().unwrap()]).succeeded();
    assert_eq!(fs::read_dir(folder).unwrap().count(), 12);
    place
}

/// `downpour grid` with these arguments: so little training that it takes no time.
fn arguments<'a>(data: &'a Data, arguments: &[&'a str]) -> Vec<String> {
    let quick = [&["grid", "--json", "--set", "target_accuracy=0.3"], arguments].concat();
    let data = format!("data_dir={}", data.folder());
    quick.into_iter().chain(["--set", &data]).map(str::to_owned).collect()
}

fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The journal's lines.
fn records(place: &Place) -> Vec<Value> {
    let text = fs::read_to_string(place.path("results/results.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn written(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path("results").join(name)).unwrap()
}

#[test]
fn a_grid_that_is_interrupted_goes_on_with_the_rounds_that_are_missing() {
    let (place, data) = (place(), Data::find());
    let arguments = arguments(&data, &["files/emnist321.yml", "files/emnist323.yml", "--rounds", "2"]);
    let mut grid = place.background(&strs(&arguments));
    eventually("the first round is made", || {
        assert!(!grid.has_ended(), "{}", grid.messages());
        (!records(&place).is_empty()).then_some(())
    });
    grid.signal(Signal::TERM);
    let message = grid.wait().failed(1);
    assert!(message.contains("interrupted") && message.contains("the same command goes on"), "{message}");
    assert!(place.processes().is_empty(), "{:#?}", place.processes());
    let before = records(&place);
    assert!((1..4).contains(&before.len()), "{before:#?}");

    let finished = place.downpour(&strs(&arguments));
    assert!(
        finished.stderr.contains(&format!("{} of 4 rounds are done already", before.len())),
        "{}",
        finished.stderr
    );
    let last = finished.lines().pop().unwrap();
    finished.succeeded();
    assert_eq!(
        (&last["event"], &last["rounds"], &last["failed"]),
        (&"finished".into(), &4.into(), &0.into())
    );
    let after = records(&place);
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), 4);
    pages_tell_of(&place, &data, &after);

    // Nothing is left to do; to run it all again has to be asked for.
    place.downpour(&strs(&arguments)).succeeded();
    assert_eq!(records(&place), after);
    place.downpour(&[strs(&arguments), vec!["--fresh"]].concat()).succeeded();
    let runs = |records: &[Value]| {
        records
            .iter()
            .filter_map(|record| Some(record["finished"]["run"].as_str()?.to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(runs(&records(&place)).len(), 8);
    assert!(place.processes().is_empty(), "{:#?}", place.processes());
}

fn pages_tell_of(place: &Place, data: &Data, records: &[Value]) {
    let text = written(place, "output.txt");
    for configuration in ["emnist321", "emnist323"] {
        let mean = records
            .iter()
            .filter(|record| record["configuration"].as_str().unwrap().starts_with(configuration))
            .map(|record| record["finished"]["time_s"].as_f64().unwrap() / 2.0)
            .sum::<f64>();
        assert!(text.contains(&format!("| Avg   | {mean:>8.2} |")), "{mean}: {text}");
        assert!(text.contains(&format!("{configuration} data_dir=")), "{text}");
    }
    assert!(text.contains(data.name), "{text}");
    assert_eq!(written(place, "results.csv").lines().count(), 5);
    let page = written(place, "results.md");
    assert!(page.contains(data.name), "{page}");
    let plots: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("![")?.split_once("](")).collect();
    assert_eq!(plots.len(), 4, "{page}");
    for (title, file) in plots {
        let svg = written(place, file.trim_end_matches(')'));
        assert!(svg.contains(title) && svg.contains(data.name), "{svg}");
    }
}

#[test]
fn a_round_that_fails_is_reported_and_the_others_are_made() {
    let (place, data) = (place(), Data::find());
    let data_dir = format!("data_dir={},/no/such/folder", data.folder());
    let arguments =
        ["grid", "files/emnist323.yml", "--rounds", "1", "--set", "iterations=1", "--set", &data_dir];
    let finished = place.downpour(&[&arguments[..], &["--set", "target_accuracy=1,0.1"]].concat());
    let (output, message) = (finished.stdout.clone(), finished.failed(1));
    assert!(message.contains("3 of 4 rounds failed"), "{message}");
    assert!(output.contains("after 1.0 epochs, the target is 100 %"), "{output}");
    assert!(output.contains("/no/such/folder"), "{output}");
    assert_eq!(written(&place, "output.txt"), output);
    let records = records(&place);
    assert_eq!(records.iter().filter(|record| record["finished"].is_object()).count(), 1, "{records:#?}");
    let page = written(&place, "results.md");
    assert!(page.contains("## Failed rounds") && page.contains("/no/such/folder"), "{page}");
}

#[test]
fn rounds_take_place_on_any_gateway_and_leave_no_function() {
    let (platform, data) = (Platform::start(place(), &scenarios::stack_with(&[])), Data::find());
    let arguments =
        arguments(&data, &["files/emnist323.yml", "--rounds", "1", "--gateway", platform.gateway_url()]);
    let finished =
        platform.place.downpour(&[strs(&arguments), vec!["--store-url", &platform.store_url]].concat());
    let lines = finished.lines();
    finished.succeeded();
    let run = platform.run(lines[0]["finished"]["run"].as_str().unwrap());
    assert_eq!((run.config().workers, run.config().seed), (3, 1));
    assert_eq!(platform.functions(), ["emnist-single"]);
}

#[test]
fn what_can_not_be_run_is_named_before_anything_is() {
    let place = Place::new();
    let refused = |arguments: &[&str], code: i32, mentions: &str| {
        let message = place.downpour(&[&["grid"], arguments].concat()).failed(code);
        assert!(message.contains(mentions), "{arguments:?}: {message}");
    };
    refused(&["no-such.yml"], 2, "no-such.yml");
    refused(&["--rounds", "0"], 2, "--rounds");
    refused(&["--set", "nfetch=1"], 2, "nfetch");
    refused(&["--set", "n_fetch=none"], 2, "n_fetch");
    refused(&["--gateway", "http://127.0.0.1:1"], 1, "127.0.0.1:1");
    place.write("other.yml", b"provider: {name: openfaas}\nfunctions: {f: {image: i}}\n");
    refused(&["other.yml"], 2, "no function emnist-setup");
    assert!(!Path::new(&place.path("results/results.jsonl")).exists() || records(&place).is_empty());
}
