//! A data set in the store: put there once, found by its name, mended where something is missing.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use redis::Commands as _;
use sgd_lib::downpour::shipment::{self, ShipmentError};

#[test]
fn a_data_set_is_put_there_once_and_found_by_its_name() {
    let data = support::data();
    for test in support::stores() {
        let (store, name) = (&*test.store, test.name);
        assert_eq!(shipment::find(store, data.name()).unwrap(), None, "{name}");
        let first = shipment::publish(store, &data).unwrap();
        assert_eq!((first.written, first.chunks), (data.manifest().chunks, data.manifest().chunks), "{name}");
        assert!(first.bytes > 0, "{name}");
        let again = shipment::publish(store, &data).unwrap();
        assert_eq!((again.written, again.bytes), (0, 0), "{name}");
        assert_eq!(shipment::find(store, data.name()).unwrap(), Some(data.manifest()), "{name}");
        assert_eq!(shipment::find(store, "another").unwrap(), None, "{name}");
    }
}

#[test]
fn a_chunk_that_is_missing_is_noticed_and_mended() {
    let (data, test) = (support::data(), support::redis());
    shipment::publish(&*test.store, &data).unwrap();
    let url = test.redis.as_ref().unwrap().url();
    let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
    let chunk = format!("dp:data:{{{:016x}}}:0", data.digest());
    assert_eq!(redis.del::<_, u32>(&chunk).unwrap(), 1);
    let missing = shipment::find(&*test.store, data.name()).unwrap_err();
    assert!(matches!(missing, ShipmentError::Missing { .. }), "{missing}");
    assert_eq!(shipment::publish(&*test.store, &data).unwrap().written, 1);
    assert_eq!(shipment::find(&*test.store, data.name()).unwrap(), Some(data.manifest()));
}
