//! Finds, prepares and opens the data that settings ask for.

use std::path::{Path, PathBuf};

use sgd_lib::dataset::{self, Dataset, DatasetError, Manifest, Name, Source};
use sgd_lib::downpour::DataRef;
use sgd_lib::downpour::shipment::{self, ShipmentError};
use sgd_lib::store::Store;

use crate::settings::{self, DatasetSource, Settings};

/// Where Debian's packages put data sets, a folder each.
const SYSTEM_ROOT: &str = "/usr/share/datasets";

/// Why there are no data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The files are none, or torn.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// They are nowhere.
    #[error(
        "no files of {wanted} in {searched}; `downpour data get {example}` downloads them, and data_dir names another folder"
    )]
    Nowhere {
        /// The data set that is wanted.
        wanted: String,
        /// Where it was looked for.
        searched: String,
        /// What to download.
        example: &'static str,
    },
    /// They are neither in files nor in the store.
    #[error("{files}; nor is one in the store, where `downpour data push` puts it")]
    NotInStore {
        /// Why there are no files.
        files: Box<DataError>,
    },
    /// They don't come out of the store.
    #[error(transparent)]
    Shipment(#[from] ShipmentError),
    /// They are not those of the run.
    #[error("the {name} here has digest {found:016x}, the run was set up with {wanted:016x}")]
    Other {
        /// The data set.
        name: String,
        /// The digest of the data here.
        found: u64,
        /// The digest of the run's.
        wanted: u64,
    },
    /// A setting says something else of the data than they say themselves.
    #[error("{setting} is {found}; {dataset} has {wanted}")]
    Contradiction {
        /// The setting.
        setting: &'static str,
        /// What it says.
        found: usize,
        /// What the data say.
        wanted: usize,
        /// The data set.
        dataset: String,
    },
}

/// The files that these settings mean.
///
/// # Errors
/// They are nowhere, or not all of them are there.
pub fn find(settings: &Settings) -> Result<Source, DataError> {
    let name = match settings.dataset {
        settings::Dataset::Auto => None,
        settings::Dataset::Fixed(name) => Some(name),
    };
    if let Some(folder) = &settings.data_dir {
        return Ok(dataset::find(folder, name)?);
    }
    let names = wanted_names(settings);
    let roots = settings.data_root.iter().cloned().chain([PathBuf::from(SYSTEM_ROOT)]);
    let folders: Vec<(Name, PathBuf)> = names
        .iter()
        .flat_map(|name| roots.clone().map(move |root| (*name, root.join(name.as_str()))))
        .collect();
    match folders.iter().find(|(_, folder)| folder.is_dir()) {
        Some((name, folder)) => Ok(dataset::find(folder, Some(*name))?),
        None => Err(DataError::Nowhere {
            wanted: names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" or "),
            searched: list(folders.iter().map(|(_, folder)| folder.as_path())),
            example: names[0].as_str(),
        }),
    }
}

/// The names of the data sets that these settings mean, the first of which there are data counts.
fn wanted_names(settings: &Settings) -> Vec<Name> {
    match settings.dataset {
        settings::Dataset::Auto => vec![Name::EmnistBymerge, Name::FashionMnist],
        settings::Dataset::Fixed(name) => vec![name],
    }
}

/// What a setup must know of the data that these settings mean. With `dataset_source=store` they are in the
/// store then: put there from files, or found there where this machine has no files.
///
/// # Errors
/// They are nowhere, torn, or contradict `pixels_per_image` or `num_labels`.
pub fn describe(settings: &Settings, store: &dyn Store) -> Result<Manifest, DataError> {
    let source = match (settings.dataset_source, find(settings)) {
        (DatasetSource::Store, Err(nowhere @ DataError::Nowhere { .. })) => {
            return describe_stored(settings, store, nowhere);
        }
        (_, source) => source?,
    };
    let data = Dataset::prepare(&source, &settings.cache_folder(), settings.transpose)?;
    let manifest = data.manifest();
    check(settings, &manifest)?;
    if settings.dataset_source == DatasetSource::Store {
        shipment::publish(store, &data)?;
    }
    Ok(manifest)
}

fn describe_stored(
    settings: &Settings,
    store: &dyn Store,
    nowhere: DataError,
) -> Result<Manifest, DataError> {
    for name in wanted_names(settings) {
        if let Some(manifest) = shipment::find(store, name.as_str())? {
            check(settings, &manifest)?;
            return Ok(manifest);
        }
    }
    Err(DataError::NotInStore { files: Box::new(nowhere) })
}

/// The data of a run that exists, where its workers run: from the store, from the run's folder, or from
/// where these settings say.
///
/// # Errors
/// They are nowhere, torn, or not those that the run was set up with.
pub fn open_for(settings: &Settings, run: &DataRef, store: &dyn Store) -> Result<Dataset, DataError> {
    let data = if run.in_store {
        shipment::retrieve(store, run.digest, &settings.cache_folder())?
    } else {
        let mut wanted = settings.clone();
        wanted.dataset = run.name.parse().map_or(settings::Dataset::Auto, settings::Dataset::Fixed);
        wanted.data_dir = run.folder.as_ref().map(PathBuf::from).or(wanted.data_dir);
        Dataset::prepare(&find(&wanted)?, &settings.cache_folder(), run.transpose)?
    };
    if data.digest() == run.digest {
        Ok(data)
    } else {
        Err(DataError::Other { name: run.name.clone(), found: data.digest(), wanted: run.digest })
    }
}

fn check(settings: &Settings, data: &Manifest) -> Result<(), DataError> {
    let said = [
        ("pixels_per_image", settings.pixels, data.shape.pixels()),
        ("num_labels", settings.classes, data.shape.classes as usize),
    ];
    for (setting, found, wanted) in said {
        if let Some(found) = found.filter(|found| *found != wanted) {
            return Err(DataError::Contradiction { setting, found, wanted, dataset: data.name.clone() });
        }
    }
    Ok(())
}

fn list<'a>(folders: impl Iterator<Item = &'a Path>) -> String {
    folders.map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}
