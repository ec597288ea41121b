//! `downpour resume`: brings a run back that nobody works on any more.

use anyhow::Result;
use platform::settings::Settings;

use super::train::{PlaceArgs, carry_out, from_environment};
use crate::args::Global;
use crate::exit_code::BadArguments;

/// Go on with a run of which workers are gone, from what they pushed, and follow it to its end
///
/// Uses the local platform that runs (`downpour up`), else starts one. A worker that still works stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  downpour resume fashion-mnist-k7x2m9qa")]
pub(crate) struct Args {
    /// The run
    run: String,
    /// The gateway of a platform elsewhere
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// How functions are called elsewhere, past a gateway
    #[arg(long, value_name = "URL")]
    function_url: Option<String>,
    /// The Redis that has the run
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let given =
        [("gateway", &args.gateway), ("function-url", &args.function_url), ("store-url", &args.store_url)];
    let mut given = given.into_iter().filter_map(|(flag, value)| Some((flag, value.as_deref()?)));
    let settings = given
        .try_fold(Settings::default(), |settings, (flag, value)| settings.overridden_by_flag(flag, value))
        .map_err(|error| BadArguments(error.to_string()))?;
    carry_out(global, &from_environment(settings)?, &args.place, Some(&args.run))
}
