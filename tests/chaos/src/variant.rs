//! What is trained, and how: the ways of training that chaos comes to.

use std::fmt;

use scenarios::{Data, stack_with};
use serde_json::{Value, json};

/// Passes over the images: some seconds of training, so that what a schedule has to offer comes before its end.
const IMAGES: u64 = 2_400_000;

/// A way of training.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// 2: an epoch an invocation; 3: workers run to the end.
    pub(crate) train_type: u8,
    /// How workers train together.
    pub(crate) algorithm: &'static str,
    /// How a push is encoded.
    pub(crate) codec: &'static str,
    /// Virtual nodes with a Redis each; 0: one Redis for all.
    pub(crate) nodes: u32,
    /// Workers, and replicas for them.
    pub(crate) workers: u32,
    /// How long an invocation may take.
    pub(crate) exec_timeout: &'static str,
}

const fn variant(
    train_type: u8,
    algorithm: &'static str,
    codec: &'static str,
    nodes: u32,
    workers: u32,
    exec_timeout: &'static str,
) -> Variant {
    Variant { train_type, algorithm, codec, nodes, workers, exec_timeout }
}

/// Every value of every setting, and the pairs that share code.
pub(crate) static ALL: [Variant; 12] = [
    variant(3, "downpour", "int8", 0, 2, "1h"),
    variant(3, "downpour", "topk", 0, 3, "1h"),
    variant(2, "downpour", "f32", 0, 3, "1h"),
    variant(3, "downpour", "int8", 0, 4, "2s"),
    variant(3, "downpour", "f16", 2, 3, "1h"),
    variant(2, "downpour", "int8", 2, 2, "1h"),
    variant(3, "average", "f32", 0, 2, "1h"),
    variant(3, "average", "int8", 2, 3, "1h"),
    variant(3, "easgd", "int8", 0, 3, "1h"),
    variant(2, "easgd", "f16", 0, 2, "1h"),
    variant(3, "diloco", "int8", 0, 2, "1h"),
    variant(2, "diloco", "f32", 0, 3, "1h"),
];

impl Variant {
    /// The body of the call that sets a run of it up.
    pub(crate) fn settings(&self, data: &Data) -> Value {
        json!({
            "data_dir": data.folder(),
            "iterations": IMAGES.div_ceil(data.train_images),
            "target_accuracy": "none",
            "hidden_size": "32",
            "batch_size": 32,
            "n_push": 60,
            "n_fetch": 60,
            "train_type": self.train_type,
            "algorithm": self.algorithm,
            "codec": self.codec,
            "database": if self.nodes == 0 { "global" } else { "local" },
            "number_of_workers": self.workers,
        })
    }

    /// The stack for it: a replica for each worker, that takes others, too.
    pub(crate) fn stack(&self) -> String {
        stack_with(&[
            (r#"scale.min: "2""#, &format!(r#"scale.min: "{}""#, self.workers)),
            ("exec_timeout: 1h", &format!("exec_timeout: {}", self.exec_timeout)),
        ])
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { train_type, algorithm, codec, nodes, workers, exec_timeout } = self;
        let database = if *nodes == 0 { "global".to_owned() } else { format!("{nodes} nodes") };
        write!(f, "type {train_type} {algorithm} {codec} {database} {workers} workers")?;
        if *exec_timeout == "1h" { Ok(()) } else { write!(f, " {exec_timeout} an invocation") }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_way_of_training_is_there() {
        let values = |of: fn(&Variant) -> String| ALL.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(values(|variant| variant.train_type.to_string()), 2);
        assert_eq!(values(|variant| variant.algorithm.to_owned()), sgd_lib::downpour::Algorithm::ALL.len());
        assert_eq!(values(|variant| variant.codec.to_owned()), sgd_lib::codec::Codec::ALL.len());
        assert_eq!(values(|variant| (variant.nodes > 0).to_string()), 2);
        assert_eq!(values(|variant| variant.workers.to_string()), 3);
        assert_eq!(values(ToString::to_string), ALL.len());
    }
}
