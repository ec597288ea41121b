//! Functions that have no files: setup puts the data into the store, workers stream them from there.

use std::fs;

use scenarios::{Data, Place, Platform, stack_with};
use serde_json::json;

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
