//! `stack.yml`: the functions of a project and how they are deployed.
//!
//! Read as faas-cli reads it: variables are substituted in the whole text first, scalars of any
//! type are text where text is wanted, unknown keys are ignored. What only a build needs
//! (`build_args`, `build_options`, …, `configuration`) counts as unknown here. Unlike faas-cli,
//! which shuffles them, functions keep the order of the file.

mod node;
mod read;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::envsubst::{self, SubstitutionError};
use crate::types::{FunctionDeployment, Resources};

/// No stack file or environment file is longer than this, in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// A parsed `stack.yml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// Empty or `1.0`.
    pub version: String,
    /// Where the functions go.
    pub provider: Provider,
    /// The functions, in the order of the file.
    pub functions: Vec<Function>,
}

/// Where the functions go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    /// Always `openfaas`.
    pub name: String,
    /// The gateway's address; may be empty.
    pub gateway: String,
}

/// One function; what the file leaves out is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Its name, as written: the gateway checks it.
    pub name: String,
    /// The template it is built with.
    pub lang: String,
    /// The folder of its source.
    pub handler: String,
    /// The image, as written.
    pub image: String,
    /// The process that a fork-exec watchdog starts.
    pub fprocess: String,
    /// The namespace.
    pub namespace: String,
    /// Environment variables; after [`Stack::load`] also those of `environment_file`.
    pub environment: BTreeMap<String, String>,
    /// Files with more environment variables, relative to the stack file; later ones win.
    pub environment_file: Vec<String>,
    /// Names of secrets.
    pub secrets: Vec<String>,
    /// Placement constraints.
    pub constraints: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Upper bounds.
    pub limits: Option<Resources>,
    /// Reservations.
    pub requests: Option<Resources>,
    /// Whether only `/tmp` may be written.
    pub readonly_root_filesystem: bool,
    /// Whether the image exists already, so that nothing is built.
    pub skip_build: bool,
}

/// A stack file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The file, or one of its environment files, can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file, or one of its environment files, is wrong.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<StackError>,
    },
    /// Too long, before or after substitution.
    #[error("the text has {found} bytes, wanted at most {MAX_FILE}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// A substitution is none.
    #[error(transparent)]
    Substitution(#[from] SubstitutionError),
    /// It isn't YAML.
    #[error("not valid YAML: {0}")]
    Yaml(String),
    /// A field holds something of another type, or a value that can't be.
    #[error("line {line}: {field}: found {found}, wanted {wanted}")]
    Field {
        /// The line, from 1.
        line: u64,
        /// The function and field, such as ``function `f`, `secrets` ``.
        field: String,
        /// What is there.
        found: String,
        /// What should be.
        wanted: &'static str,
    },
}

impl Stack {
    /// Parses the text of a stack file. `environment_file` is kept, not read: see [`Stack::load`].
    ///
    /// # Errors
    /// Text that is too long or no YAML, a substitution that is none, a field of the wrong type,
    /// a provider other than `openfaas`, a version other than `1.0`.
    pub fn parse(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, StackError> {
        within_bounds(text)?;
        let text = envsubst::substitute(text, lookup)?;
        within_bounds(&text)?;
        read::stack(&text)
    }

    /// Reads and parses a stack file, and adds the variables of its environment files (which, as
    /// for faas-cli, win over `environment`).
    ///
    /// # Errors
    /// As [`Stack::parse`], with the file's name; or a file that can't be read.
    pub fn load(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, StackError> {
        let in_file =
            |path: &Path, source| StackError::File { path: path.to_owned(), source: Box::new(source) };
        let mut stack = Self::parse(&text_of(path)?, lookup).map_err(|error| in_file(path, error))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for function in &mut stack.functions {
            for file in &function.environment_file {
                let file = folder.join(file);
                let variables = read::environment(&text_of(&file)?).map_err(|error| in_file(&file, error))?;
                function.environment.extend(variables);
            }
        }
        Ok(stack)
    }

    /// What to send to the gateway for each function, in the order of the file.
    pub fn deployments(&self) -> Vec<FunctionDeployment> {
        self.functions.iter().map(Function::deployment).collect()
    }
}

impl Function {
    fn deployment(&self) -> FunctionDeployment {
        FunctionDeployment {
            service: self.name.clone(),
            image: self.image_with_tag(),
            namespace: self.namespace.clone(),
            env_process: self.fprocess.clone(),
            env_vars: self.environment.clone(),
            constraints: self.constraints.clone(),
            secrets: self.secrets.clone(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            limits: self.limits.clone(),
            requests: self.requests.clone(),
            read_only_root_filesystem: self.readonly_root_filesystem,
        }
    }

    /// The image, with `:latest` where it has no tag. (A colon before the last slash is a port.)
    fn image_with_tag(&self) -> String {
        let name = self.image.rsplit('/').next().unwrap_or_default();
        if name.contains(':') { self.image.clone() } else { format!("{}:latest", self.image) }
    }
}

fn within_bounds(text: &str) -> Result<(), StackError> {
    if text.len() > MAX_FILE { Err(StackError::TooLong { found: text.len() }) } else { Ok(()) }
}

fn text_of(path: &Path) -> Result<String, StackError> {
    let mut text = String::new();
    std::fs::File::open(path)
        // One byte more than allowed shows that there is too much.
        .and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_string(&mut text))
        .map_err(|source| StackError::Read { path: path.to_owned(), source })?;
    within_bounds(&text)
        .map_err(|error| StackError::File { path: path.to_owned(), source: Box::new(error) })?;
    Ok(text)
}
