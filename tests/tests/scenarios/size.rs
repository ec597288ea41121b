//! How much a function takes: memory while it trains, its program on disk.

use std::fs;

use scenarios::{Data, Platform, binary, eventually};
use serde_json::json;

const MIB: u64 = 1 << 20;

#[test]
fn a_train_function_needs_at_most_32_mib_of_its_own_memory() {
    let (platform, data) = (Platform::new(), Data::find());
    for source in ["files", "store"] {
        let settings = json!({
            "data_dir": data.folder(), "iterations": 2, "target_accuracy": "none", "dataset_source": source,
        });
        let run = platform.set_up(&settings);
        let mut peak = 0;
        eventually("the end of the run", || {
            let replicas = platform.replicas("emnist-train");
            peak = replicas.iter().filter_map(|replica| replica.private_bytes()).chain([peak]).max()?;
            run.status().ok().filter(|status| status.is_over())
        });
        assert!(peak > MIB, "{peak} bytes are too few to be true");
        assert!(peak <= 32 * MIB, "data from {source}: {peak} bytes");
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "programs are stripped in release builds only")]
fn the_program_of_a_function_has_at_most_10_mib() {
    for function in ["emnist-setup", "emnist-train", "emnist-single"] {
        let size = fs::metadata(binary(function)).map_or(0, |file| file.len());
        assert!((1..=10 * MIB).contains(&size), "{function}: {size} bytes");
    }
}
