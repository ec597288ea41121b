//! Finds, prepares and opens the data that settings ask for.

use std::path::{Path, PathBuf};

use sgd_lib::dataset::{self, Dataset, DatasetError, Name, Source};

use crate::settings::{self, Settings};

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
    let names = name.map_or_else(|| vec![Name::EmnistBymerge, Name::FashionMnist], |name| vec![name]);
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

/// The data that these settings mean, prepared.
///
/// # Errors
/// They are nowhere, torn, or contradict `pixels_per_image` or `num_labels`.
pub fn open(settings: &Settings) -> Result<Dataset, DataError> {
    let data = Dataset::prepare(&find(settings)?, &settings.cache_folder(), settings.transpose)?;
    check(settings, &data)?;
    Ok(data)
}

fn check(settings: &Settings, data: &Dataset) -> Result<(), DataError> {
    let said = [
        ("pixels_per_image", settings.pixels, data.pixels()),
        ("num_labels", settings.classes, data.classes()),
    ];
    for (setting, found, wanted) in said {
        if let Some(found) = found.filter(|found| *found != wanted) {
            return Err(DataError::Contradiction { setting, found, wanted, dataset: data.name().to_owned() });
        }
    }
    Ok(())
}

fn list<'a>(folders: impl Iterator<Item = &'a Path>) -> String {
    folders.map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}
