//! The settings as flags of `downpour train`: one flag a row of the settings table.

use clap::{Arg, ArgMatches, Command, FromArgMatches};
use platform::settings::{Settings, SettingsError, table};

/// The flags that were given, in the order of the table, with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingsArgs(Vec<(&'static str, String)>);

impl SettingsArgs {
    /// The settings that the flags make.
    ///
    /// # Errors
    /// A value that is out of range.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        self.0
            .iter()
            .try_fold(Settings::default(), |settings, (flag, value)| settings.overridden_by_flag(flag, value))
    }
}

impl clap::Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        let flags = table().iter().filter_map(|setting| Some((setting, setting.flag?)));
        flags.fold(command, |command, (setting, flag)| {
            let help = format!("{} [{}] [default: {}]", setting.help, setting.wanted(), setting.default);
            let arg = Arg::new(flag).long(flag).value_name("VALUE").help(help).allow_hyphen_values(true);
            command.arg(arg.help_heading("Settings"))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = table().iter().filter_map(|setting| setting.flag);
        let given = flags.filter_map(|flag| Some((flag, matches.get_one::<String>(flag)?.clone())));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
