//! The same seed on one worker gives the same parameters, bit for bit.

use scenarios::{Data, Place};

type Tensors = Vec<(String, Vec<usize>, Vec<u8>)>;

fn trained(place: &Place, flags: &[&str]) -> Tensors {
    let data = Data::find();
    let finished = place.train(&[&["--data-dir", data.folder(), "--workers", "1"], flags].concat());
    place.exported(finished["run"].as_str().unwrap())
}

#[test]
fn one_worker_with_the_same_seed_trains_the_same_parameters_bit_for_bit() {
    let place = Place::new();
    let first = trained(&place, &["--epochs", "1", "--seed", "7"]);
    assert!(first == trained(&place, &["--epochs", "1", "--seed", "7"]), "the same seed, other parameters");
    assert!(first != trained(&place, &["--epochs", "1", "--seed", "8"]), "another seed, the same parameters");
}

#[test]
fn one_worker_that_stops_at_a_target_stops_at_the_same_parameters() {
    let place = Place::new();
    let flags = ["--target-accuracy", "0.7", "--seed", "7"];
    let first = trained(&place, &flags);
    assert!(first == trained(&place, &flags), "the same seed, other parameters");
}
