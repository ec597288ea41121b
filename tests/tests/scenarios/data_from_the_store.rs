//! Functions that have no files: setup puts the data into the store, workers stream them from there.

use std::fs;

use scenarios::{Data, Place, Platform, stack_with};
use serde_json::json;

/// As in a cluster, where images hold no data: nobody but `data push` has the files.
#[test]
fn a_setup_without_files_finds_what_was_pushed() {
    let (platform, data) = (Platform::new(), Data::find());
    // Debian's package has Fashion-MNIST where every function looks; the same files as another data set are nowhere.
    let name = if data.name == "fashion-mnist" { "mnist" } else { data.name };
    for file in fs::read_dir(&data.folder).unwrap().flatten() {
        platform
            .place
            .write(&format!("files/{}", file.file_name().display()), &fs::read(file.path()).unwrap());
    }
    for (function, train_type) in [("emnist-setup", 3), ("emnist-single", 1)] {
        let settings = json!({
            "dataset": name, "dataset_source": "store", "number_of_workers": 1, "iterations": 1,
            "target_accuracy": "none", "train_type": train_type,
        });
        let call = || platform.call(function, settings.to_string().as_bytes(), None);
        if train_type == 3 {
            let refusal = call();
            assert_eq!(refusal.status, 400, "{}", refusal.text);
            assert!(refusal.text.contains("`downpour data push`"), "{}", refusal.text);
            let push = ["data", "push", "files", "--dataset", name];
            platform.place.downpour(&push).succeeded();
        }
        let answer = call();
        let answer = answer.json(if train_type == 3 { 200 } else { 202 });
        let run = platform.run(answer["run"].as_str().unwrap());
        platform.await_end(&run);
        let report = platform.report(&run);
        assert_eq!((&report["dataset"], &report["samples"]), (&name.into(), &data.train_images.into()));
    }
}

#[test]
fn workers_without_files_stream_the_data_from_the_store_and_train_the_same_network() {
    let (place, data) = (Place::new(), Data::find());
    let cache = place.path("train-cache");
    fs::create_dir(&cache).unwrap();
    let patience = r#"max_inflight: "8""#;
    let own_cache = format!("{patience}\n      cache_dir: {}", cache.display());
    let platform = Platform::start(place, &stack_with(&[(patience, &own_cache)]));

    let mut settings = json!({"data_dir": data.folder(), "number_of_workers": 1, "iterations": 1, "target_accuracy": "none"});
    settings["dataset_source"] = "store".into();
    let streamed = platform.set_up(&settings);
    assert!(streamed.config().data.in_store);
    assert_eq!(streamed.config().data.folder, None);
    platform.await_end(&streamed);
    assert!(fs::read_dir(&cache).unwrap().count() > 0, "the data came from somewhere else");

    settings["dataset_source"] = "files".into();
    let read = platform.set_up(&settings);
    platform.await_end(&read);
    assert_eq!(platform.report(&streamed)["samples"], data.train_images);
    assert!(platform.place.exported(streamed.name()) == platform.place.exported(read.name()));
}
