//! The remote builder of `faas-cli up`: makes an image's program of a build context with cargo, so that no Docker is
//! needed.
//!
//! Whoever may build may run anything as this user, by a build script as well as by the function itself: a request
//! counts only when it is signed with the payload secret, and without one there is no builder.
//!
//! # Layout
//! - `signature`, `upload`: the request, received into a file and checked
//! - `archive`: the tar in it, checked
//! - `sources`: the folder that is built in
//! - `cargo`: the build
//! - `log`: the answer

pub(crate) mod archive;
mod cargo;
#[cfg(test)]
#[path = "../../tests/support/faas_cli.rs"]
mod faas_cli;
mod log;
mod signature;
mod sources;
mod upload;

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use openfaas::build::BuildConfig;
use openfaas::names::NameError;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use self::archive::{ArchiveError, Contents};
use self::cargo::{Cargo, CargoError};
pub(crate) use self::log::Log;
use self::signature::Secret;
use self::sources::SourcesError;
use crate::error::{GatewayError, Refusal, StorageError};
use crate::images::ImageName;
use crate::storage;
use crate::supervisor::context::Context;

/// Where a package may be in a context: beside the template's own files, or at its root.
const PACKAGES: [&str; 2] = ["function", ""];

/// Requests that are received at a time; further ones wait.
const UPLOADS: usize = 4;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(
        "the context has no function/Cargo.toml and no Cargo.toml: only Rust is built here, other languages need Docker"
    )]
    NotCargo,
    #[error("platforms are {wanted}: only {here} can be built here")]
    Platforms { wanted: String, here: String },
    #[error(transparent)]
    Cargo(#[from] CargoError),
    #[error(transparent)]
    Sources(#[from] SourcesError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("an internal task failed")]
    Task,
    #[error("the gateway is shutting down")]
    Draining,
}

/// Builds images, one at a time.
pub(crate) struct Builder {
    context: Arc<Context>,
    secret: Secret,
    /// Who sends is known only when all of it has come: what others send must not fill the disk.
    uploads: Semaphore,
    /// For uploads, [`sources`] and cargo's target folder.
    folder: PathBuf,
    /// Held by whoever uses the sources. A blocking task takes it along, as that goes on when its build is dropped.
    turn: Arc<Mutex<()>>,
}

impl Builder {
    /// A builder that works in `state_dir` for those who know the secret in the file `secret`.
    pub(crate) fn open(context: Arc<Context>, state_dir: &Path, secret: &Path) -> Result<Self, GatewayError> {
        let secret = Secret::read(secret)?;
        let folder = state_dir.join("builds");
        storage::create_folder(&folder.join("sources"))?;
        Ok(Self { context, secret, uploads: Semaphore::new(UPLOADS), folder, turn: Arc::default() })
    }

    /// Receives what is to be built, and checks who sent it.
    pub(crate) async fn receive(&self, headers: &HeaderMap, body: Body) -> Result<File, Refusal> {
        let check = self.secret.check(headers)?;
        let _permit = self.uploads.acquire().await.map_err(|_| Refusal::Task)?;
        upload::receive(&self.folder, body, check).await
    }

    /// Builds what was received, until nobody waits for it any more or the gateway drains.
    pub(crate) async fn run(&self, upload: File, mut log: Log, draining: impl Future<Output = ()>) {
        let (abandoned, mut end) = (log.clone(), None);
        tokio::select! {
            outcome = self.build(upload, &mut log) => end = Some(outcome),
            () = draining => end = Some(Err(BuildError::Draining)),
            () = abandoned.abandoned() => tracing::info!("a build was given up by its client"),
        }
        if let Some(outcome) = end {
            let outcome = outcome.inspect_err(|error| tracing::info!(%error, "a build failed"));
            log.end(outcome).await;
        }
    }

    async fn build(&self, upload: File, log: &mut Log) -> Result<(), BuildError> {
        let (upload, contents) = blocking(move || {
            let contents = Contents::read(rewound(&upload)?)?;
            Ok((upload, contents))
        })
        .await?;
        log.name(&contents.config.image);
        let image = ImageName::parse(&contents.config.image)?;
        check_platforms(&contents.config)?;
        let package = package(&contents).ok_or(BuildError::NotCargo)?;
        tell_what_has_no_effect(&contents.config, log).await;
        let digest = contents.digest();
        if self.confirm(&image, &digest).await? {
            log.line(format!("{}: nothing has changed since it was built", image.full())).await;
            return Ok(());
        }
        let turn = self.turn(log).await;
        let (sources, target) = (self.folder.join("sources"), self.folder.join("target"));
        let package = sources.join(package);
        let turn = blocking(move || {
            sources::bring(&sources, rewound(&upload)?, &contents)?;
            Ok(turn)
        })
        .await?;
        let program = Cargo { package: &package, target: &target }.build(&self.context.groups, log).await?;
        tracing::info!(image = image.full(), "built");
        self.register(image, digest, program, turn).await
    }

    /// Waits until no other build uses the sources.
    async fn turn(&self, log: &Log) -> OwnedMutexGuard<()> {
        if let Ok(turn) = self.turn.clone().try_lock_owned() {
            return turn;
        }
        log.line("waiting for another build to end").await;
        self.turn.clone().lock_owned().await
    }

    async fn confirm(&self, image: &ImageName, digest: &str) -> Result<bool, BuildError> {
        let (context, image, digest) = (self.context.clone(), image.clone(), digest.to_owned());
        blocking(move || Ok(context.images.confirm(&image, &digest)?)).await
    }

    async fn register(
        &self,
        image: ImageName,
        digest: String,
        program: PathBuf,
        turn: OwnedMutexGuard<()>,
    ) -> Result<(), BuildError> {
        let context = self.context.clone();
        blocking(move || {
            let registered = context.images.register(&image, &digest, &program);
            drop(turn);
            Ok(registered?)
        })
        .await
    }
}

/// Runs what reads or writes files where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BuildError::Task)?
}

fn rewound(mut upload: &File) -> Result<&File, ArchiveError> {
    upload.seek(SeekFrom::Start(0))?;
    Ok(upload)
}

/// The folder of the context's package.
fn package(contents: &Contents) -> Option<&'static str> {
    PACKAGES.into_iter().find(|folder| contents.nodes.contains_key(&Path::new(folder).join("Cargo.toml")))
}

/// The name that Docker has for this machine.
fn platform() -> String {
    let cpu = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}/{cpu}", std::env::consts::OS)
}

fn check_platforms(config: &BuildConfig) -> Result<(), BuildError> {
    let (wanted, here) = (&config.platforms, platform());
    let any = wanted.iter().all(String::is_empty);
    if any || wanted.contains(&here) {
        return Ok(());
    }
    Err(BuildError::Platforms { wanted: wanted.join(","), here })
}

/// What a Dockerfile would do, and cargo does not.
async fn tell_what_has_no_effect(config: &BuildConfig, log: &Log) {
    let others: Vec<_> = config.platforms.iter().filter(|it| !it.is_empty() && **it != platform()).collect();
    if !others.is_empty() {
        log.line(format!("not built for {others:?}: only {} can be built here", platform())).await;
    }
    for (name, _) in config.build_args.iter().filter(|(_, value)| !value.is_empty()) {
        log.line(format!("the build argument {name} has no effect: cargo builds, not the Dockerfile")).await;
    }
}
