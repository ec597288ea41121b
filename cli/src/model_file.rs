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

/// The JSON file.
#[derive(Serialize)]
struct Description<'a> {
    format: &'static str,
    version: u32,
    inputs: usize,
    outputs: usize,
    layers: Vec<LayerDescription>,
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
/// never half written. `parameters` is the flat vector that `architecture` describes; `metadata` goes
/// into both files.
///
/// # Errors
/// The parameters do not fit the architecture, or a file can't be written.
pub(crate) fn write(
    path: &Path,
    architecture: &Architecture,
    parameters: &[f32],
    metadata: &BTreeMap<String, String>,
) -> Result<ModelFiles> {
    let (found, wanted) = (parameters.len(), architecture.parameter_count());
    ensure!(found == wanted, "the network has {wanted} parameters, but {found} are there");
    let files =
        ModelFiles { parameters: path.with_extension("safetensors"), layers: path.with_extension("json") };
    let bytes: Vec<u8> = parameters.iter().flat_map(|value| value.to_le_bytes()).collect();
    let metadata_of_file: HashMap<_, _> = metadata.clone().into_iter().collect();
    let file = safetensors::serialize(tensors(architecture, &bytes)?, Some(metadata_of_file))?;
    replace(&files.parameters, &file)?;
    let mut description = serde_json::to_vec_pretty(&describe(architecture, metadata))?;
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

fn describe<'a>(architecture: &Architecture, metadata: &'a BTreeMap<String, String>) -> Description<'a> {
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
        layers: layers.collect(),
        metadata,
    }
}

fn weight_name(layer: usize) -> String {
    format!("layers.{layer}.weight")
}

fn bias_name(layer: usize) -> String {
    format!("layers.{layer}.bias")
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    fs::write(&part, bytes)
        .and_then(|()| fs::rename(&part, path))
        .with_context(|| format!("can't write {}", path.display()))
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
        let files = write(&dir.path().join("model"), &architecture, &parameters, &metadata).unwrap();

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
        assert_eq!(json["metadata"]["dataset"], "emnist-letters");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn parameters_of_another_network_are_refused() {
        let dir = TempDir::new().unwrap();
        let architecture = Architecture::new(3, &[2], 4).unwrap();
        let error = write(&dir.path().join("model"), &architecture, &[0.0; 5], &BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), "the network has 20 parameters, but 5 are there");
    }
}
