//! `downpour data get`: downloads a published data set.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use sgd_lib::dataset::{Download, Name, Published};

use crate::args::Global;
use crate::download::{Remote, TransferError, extract, fetch};
use crate::exit_code::BadArguments;
use crate::render::output;
use crate::state_dir::StateDir;

/// Download a published data set
///
/// The files are checked against their published checksums. A download that broke off goes on from
/// where it ended when the command is run again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// emnist-bymerge, -byclass, -balanced, -letters, -digits or -mnist; mnist; fashion-mnist
    name: String,
    /// Put the files there [default: data/NAME in the state folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Download from this folder on a server instead of where the files are published
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  downpour data get mnist
  downpour data get emnist-bymerge --dir ./emnist
  downpour train --data-dir ./emnist

All of EMNIST is one archive of 536 MiB. It stays beside the data set's folder (in it, with
--dir), so that the next EMNIST data set needs no download; delete it when you need the space.";

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    dataset: &'a str,
    dir: &'a Path,
    files: &'a [&'static str],
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let name: Name = args.name.parse().map_err(|error| BadArguments(format!("{error}")))?;
    let published = name.published();
    let state = StateDir::locate(global.state_dir.as_deref())?;
    let (dir, downloads) = match &args.dir {
        Some(dir) => (dir.clone(), dir.clone()),
        None => (state.dataset(name.as_str()), state.datasets()),
    };
    if !is_complete(published, &dir) {
        for download in published.downloads {
            get(&state, download, published, &downloads, &dir, args.mirror.as_deref())
                .map_err(|error| with_advice(error, download, published, &downloads, &dir))?;
        }
    }
    if global.json {
        return output::json(&Answer { dataset: name.as_str(), dir: &dir, files: published.files });
    }
    output::line(&format!("{name} is in {}", dir.display()))?;
    output::line(&format!("train on it with: downpour train --data-dir {}", dir.display()))
}

/// Files of an archive appear one by one, each complete; plain files are checked again by the download.
fn is_complete(published: &Published, dir: &Path) -> bool {
    let from_archive = published.downloads.iter().any(|download| download.zip_folder.is_some());
    from_archive && published.files.iter().all(|file| dir.join(file).is_file())
}

fn get(
    state: &StateDir,
    download: &Download,
    published: &Published,
    downloads: &Path,
    dir: &Path,
    mirror: Option<&str>,
) -> Result<()> {
    let bar = progress_bar(download);
    let urls = match mirror {
        Some(mirror) => vec![format!("{}/{}", mirror.trim_end_matches('/'), download.file_name)],
        None => download.urls.iter().map(|&url| url.to_owned()).collect(),
    };
    let file = Remote { name: download.file_name, urls, bytes: download.bytes, sha256: download.sha256 };
    let folder = if download.zip_folder.is_some() { downloads } else { dir };
    state.create(folder)?;
    let path = fetch(&file, folder, &bar).inspect_err(|_| bar.abandon())?;
    if let Some(zip_folder) = download.zip_folder {
        bar.set_message(format!("taking the files out of {}", download.file_name));
        // Not before: a folder that is there says that the data set is.
        state.create(dir)?;
        extract(&path, zip_folder, published.files, dir)?;
    }
    bar.finish_and_clear();
    Ok(())
}

fn progress_bar(download: &Download) -> ProgressBar {
    // In a pipe or a log the bar is hidden; errors and the result say all that counts there.
    let bar = ProgressBar::with_draw_target(Some(download.bytes), ProgressDrawTarget::stderr());
    let template = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(download.file_name);
    bar
}

/// Without a network, the files can still be brought here by hand: says which, and where to.
fn with_advice(
    error: anyhow::Error,
    download: &Download,
    published: &Published,
    downloads: &Path,
    dir: &Path,
) -> anyhow::Error {
    let unreachable = matches!(
        error.downcast_ref(),
        Some(TransferError::Unreachable { .. } | TransferError::BrokeOff { .. })
    );
    if !unreachable {
        return error;
    }
    let files: Vec<String> =
        published.files.iter().map(|file| format!("  {}", dir.join(file).display())).collect();
    let archive = match download.zip_folder {
        Some(_) => format!(
            "\n(or the archive itself to {}, then run the command again)",
            downloads.join(download.file_name).display()
        ),
        None => String::new(),
    };
    let urls: Vec<String> = published.downloads.iter().map(|file| format!("  {}", file.urls[0])).collect();
    anyhow!(
        "{error:#}\nWithout access to the network, download elsewhere\n{}\nand put the files here:\n{}{archive}",
        urls.join("\n"),
        files.join("\n")
    )
}
