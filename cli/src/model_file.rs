//! A trained network as files: its parameters in safetensors, its layers in JSON beside them.
//!
//! `NAME.safetensors` holds `layers.I.weight` of shape [inputs, outputs] and `layers.I.bias` of shape
//! [outputs] as f32, so that layer I computes `activation(x · weight + bias)`; `NAME.json` lists the
//! layers with their activations, and what the network was trained on.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use sgd_lib::network::Architecture;

/// Where the two files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ModelFiles {
    /// The parameters.
    pub(crate) parameters: PathBuf,
    /// The description of the layers.
    pub(crate) layers: PathBuf,
}

/// A trained network.
pub(crate) struct Network<'a> {
    /// Its shape.
    pub(crate) architecture: &'a Architecture,
    /// The flat vector that the shape describes.
    pub(crate) parameters: &'a [f32],
    /// What each class is called.
    pub(crate) class_names: &'a [String],
    /// What it was trained on and how well it does; goes into both files.
    pub(crate) metadata: &'a BTreeMap<String, String>,
}

/// The JSON file.
#[derive(Serialize)]
struct Description<'a> {
    format: &'static str,
    version: u32,
    inputs: usize,
    outputs: usize,
    /// What a pixel of 255 is as an input.
    white: f32,
    layers: Vec<LayerDescription>,
    class_names: &'a [String],
    metadata: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct LayerDescription {
    inputs: usize,
    outputs: usize,
    weight: String,
    bias: String,
    activation: &'static str,
}

/// Writes `path` with the endings `.safetensors` and `.json`; a file that is there is replaced, and
/// never half written.
///
/// # Errors
/// The parameters do not fit the architecture, or a file can't be written.
pub(crate) fn write(path: &Path, network: &Network<'_>) -> Result<ModelFiles> {
    let (found, wanted) = (network.parameters.len(), network.architecture.parameter_count());
    ensure!(found == wanted, "the network has {wanted} parameters, but {found} are there");
    let files =
        ModelFiles { parameters: with_ending(path, ".safetensors"), layers: with_ending(path, ".json") };
    let bytes: Vec<u8> = network.parameters.iter().flat_map(|value| value.to_le_bytes()).collect();
    let metadata: HashMap<_, _> = network.metadata.clone().into_iter().collect();
    let tensors = safetensors::serialize(tensors(network.architecture, &bytes)?, Some(metadata))?;
    replace(&files.parameters, &tensors)?;
    let mut description = serde_json::to_vec_pretty(&describe(network))?;
    description.push(b'\n');
    replace(&files.layers, &description)?;
    Ok(files)
}

fn tensors<'a>(architecture: &Architecture, bytes: &'a [u8]) -> Result<Vec<(String, TensorView<'a>)>> {
    let view = |shape: Vec<usize>, values: std::ops::Range<usize>| {
        TensorView::new(Dtype::F32, shape, &bytes[4 * values.start..4 * values.end])
    };
    let mut tensors = Vec::new();
    for (index, layer) in architecture.layers().into_iter().enumerate() {
        tensors.push((weight_name(index), view(vec![layer.inputs, layer.outputs], layer.weights)?));
        tensors.push((bias_name(index), view(vec![layer.outputs], layer.biases)?));
    }
    Ok(tensors)
}

fn describe<'a>(network: &Network<'a>) -> Description<'a> {
    let architecture = network.architecture;
    let last = architecture.hidden().len();
    let layers = architecture.layers().into_iter().enumerate().map(|(index, layer)| LayerDescription {
        inputs: layer.inputs,
        outputs: layer.outputs,
        weight: weight_name(index),
        bias: bias_name(index),
        activation: if index == last { "softmax" } else { "tanh" },
    });
    Description {
        format: "downpour-network",
        version: 1,
        inputs: architecture.inputs(),
        outputs: architecture.outputs(),
        white: 1.0,
        layers: layers.collect(),
        class_names: network.class_names,
        metadata: network.metadata,
    }
}

fn weight_name(layer: usize) -> String {
    format!("layers.{layer}.weight")
}

fn bias_name(layer: usize) -> String {
    format!("layers.{layer}.bias")
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = with_ending(path, ".part");
    fs::write(&part, bytes)
        .and_then(|()| fs::rename(&part, path))
        .with_context(|| format!("can't write {}", path.display()))
}

/// Unlike [`Path::with_extension`], keeps what follows a dot in the name.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_reader_finds_every_layer_and_value() {
        let dir = TempDir::new().unwrap();
        let architecture = Architecture::new(3, &[2], 4).unwrap();
        let parameters: Vec<f32> = (0..architecture.parameter_count()).map(|i| i as f32).collect();
        let metadata = BTreeMap::from([("dataset".to_owned(), "emnist-letters".to_owned())]);
        let class_names = ["A", "B", "C", "D"].map(str::to_owned);
        let network = Network {
            architecture: &architecture,
            parameters: &parameters,
            class_names: &class_names,
            metadata: &metadata,
        };
        let files = write(&dir.path().join("model-0.75"), &network).unwrap();
        assert!(files.parameters.ends_with("model-0.75.safetensors"));

        let bytes = fs::read(&files.parameters).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let values = |name: &str| -> Vec<f32> {
            let tensor = file.tensor(name).unwrap();
            tensor.data().as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect()
        };
        assert_eq!(file.tensor("layers.0.weight").unwrap().shape(), [3, 2]);
        assert_eq!(values("layers.0.bias"), [6.0, 7.0]);
        assert_eq!(values("layers.1.weight"), (8..16).map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!(file.tensor("layers.1.bias").unwrap().shape(), [4]);
        assert_eq!(file.len(), 4);

        let json: serde_json::Value = serde_json::from_slice(&fs::read(&files.layers).unwrap()).unwrap();
        assert_eq!(json["layers"][0]["activation"], "tanh");
        assert_eq!(json["layers"][1]["activation"], "softmax");
        assert_eq!(json["layers"][1]["weight"], "layers.1.weight");
        assert_eq!(json["class_names"][3], "D");
        assert_eq!(json["metadata"]["dataset"], "emnist-letters");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn parameters_of_another_network_are_refused() {
        let dir = TempDir::new().unwrap();
        let architecture = Architecture::new(3, &[2], 4).unwrap();
        let (parameters, metadata) = ([0.0; 5], BTreeMap::new());
        let network = Network {
            architecture: &architecture,
            parameters: &parameters,
            class_names: &[],
            metadata: &metadata,
        };
        let error = write(&dir.path().join("model"), &network).unwrap_err();
        assert_eq!(error.to_string(), "the network has 20 parameters, but 5 are there");
    }
}
