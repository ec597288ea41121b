//! What the process's exit code says.

use std::io;

/// The exit codes; clap itself exits with 2 for arguments that it can't parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Done.
    Done = 0,
    /// Failed; the reason is on standard error.
    Failed = 1,
    /// Arguments that can't be right; the reason is on standard error.
    BadArguments = 2,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// Arguments that parse, but name something that does not exist or contradict each other.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadArguments(pub(crate) String);

/// Prints why a command failed, and says how to exit.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        // Whoever read the output, such as `head`, has seen enough.
        return ExitCode::Done;
    }
    eprintln!("error: {error:#}");
    if error.is::<BadArguments>() { ExitCode::BadArguments } else { ExitCode::Failed }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_bad_arguments_from_failures() {
        assert_eq!(report(&anyhow::anyhow!("no such run")), ExitCode::Failed);
        assert_eq!(report(&BadArguments("no such data set".to_owned()).into()), ExitCode::BadArguments);
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        assert_eq!(report(&io::Error::from(io::ErrorKind::BrokenPipe).into()), ExitCode::Done);
    }
}
