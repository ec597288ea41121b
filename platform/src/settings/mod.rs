//! The settings of a run: one table makes the environment variables of the functions, the flags
//! of `downpour train`, the keys of a request body and their reference.

mod body;
mod choices;
mod error;
mod kind;
mod names;
mod reference;
mod table;
mod value;
mod workers;

use std::path::PathBuf;

use serde_json::Value as Json;
use sgd_lib::downpour::Algorithm;

pub use choices::{Codec, Dataset, DatasetSource, FanOut, NotAChoice, TrainType};
pub use error::SettingsError;
pub use kind::Kind;
pub use reference::markdown;
pub use table::{Setting, Settings};
pub use value::StoreUrl;
pub use workers::Workers;

use body::shortened;

/// Every setting, in the order of the reference.
pub fn table() -> &'static [Setting] {
    table::TABLE
}

impl Setting {
    /// The values in words, as an error or a reference says them.
    pub fn wanted(&self) -> String {
        let wanted = self.kind.wanted();
        if self.optional { format!("{wanted}, or none") } else { wanted }
    }
}

impl Settings {
    /// The settings that the environment gives; a variable that is empty is not given.
    ///
    /// # Errors
    /// A value that is out of range.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for (row, setting) in table().iter().enumerate() {
            if let Some(text) = lookup(setting.variable).filter(|text| !text.trim().is_empty()) {
                settings.assign(row, &text, || format!("variable `{}`", setting.variable))?;
            }
        }
        Ok(settings)
    }

    /// These settings with those that a request body gives: a JSON object whose values are
    /// numbers or text (`hidden_size` may be a list too). An empty body gives none.
    ///
    /// # Errors
    /// A body that is too long or no object, a key that no setting has or that is there twice, a
    /// value out of range.
    pub fn overridden_by_json(mut self, body: &[u8]) -> Result<Self, SettingsError> {
        for (name, value) in body::entries(body)? {
            let row = table().iter().position(|setting| setting.variable == name);
            let row = row.ok_or_else(|| names::unknown_key(&name))?;
            let setting = &table()[row];
            let place = || format!("key `{name}` of the request body");
            match body::text(&value, setting.kind == Kind::Widths) {
                Some(text) => self.assign(row, &text, place)?,
                None => return Err(wrong(setting, place(), &shortened(&value.to_string()))),
            }
        }
        Ok(self)
    }

    /// These settings with one that a flag gives; `flag` with or without its dashes.
    ///
    /// # Errors
    /// A flag that no setting has, or a value out of range.
    pub fn overridden_by_flag(mut self, flag: &str, text: &str) -> Result<Self, SettingsError> {
        let flag = flag.trim_start_matches('-');
        let row = table().iter().position(|setting| setting.flag == Some(flag));
        let row = row.ok_or_else(|| names::unknown_flag(flag))?;
        self.assign(row, text, || format!("--{flag}"))?;
        Ok(self)
    }

    /// The settings that were given or differ from their defaults, as a request body's object.
    /// Numbers are text too: so they arrive to the last bit.
    pub fn to_json(&self) -> Json {
        let rows = table().iter().enumerate();
        let differing = rows.filter_map(|(row, setting)| {
            let text = (setting.get)(self);
            let shown = self.given & (1 << row) != 0 || text != setting.default;
            shown.then(|| (setting.variable.to_owned(), Json::String(text)))
        });
        Json::Object(differing.collect())
    }

    /// Whether the setting of this variable was given, by environment, body or flag.
    pub fn is_given(&self, variable: &str) -> bool {
        table()
            .iter()
            .position(|setting| setting.variable == variable)
            .is_some_and(|row| self.given & (1 << row) != 0)
    }

    /// Checks what a setting alone can't tell: whether those that were given go together.
    ///
    /// # Errors
    /// One has no meaning beside another.
    pub fn check(&self) -> Result<(), SettingsError> {
        let clash = |variable, found: String, wanted: &str, beside: String| {
            let (wanted, place) = (wanted.to_owned(), format!("`{variable}` with {beside}"));
            Err(SettingsError::Value { place, found, wanted })
        };
        let single = self.train_type == TrainType::SingleFunction;
        if single && self.is_given("number_of_workers") && self.workers != Workers::Fixed(1) {
            let beside = "`train_type` 1, a single function".to_owned();
            return clash("number_of_workers", self.workers.to_string(), "1, or another train_type", beside);
        }
        if self.algorithm != Algorithm::Downpour && self.is_given("combine") {
            let beside = format!("`algorithm` {}, which weights pushes itself", self.algorithm);
            return clash("combine", self.combine.to_string(), "none given, or algorithm downpour", beside);
        }
        Ok(())
    }

    /// The folder for the prepared data.
    pub fn cache_folder(&self) -> PathBuf {
        self.cache_dir.clone().unwrap_or_else(|| std::env::temp_dir().join("downpour"))
    }

    fn assign(&mut self, row: usize, text: &str, place: impl Fn() -> String) -> Result<(), SettingsError> {
        let setting = &table()[row];
        let text = text.trim();
        (setting.set)(self, text, &setting.kind).ok_or_else(|| {
            let shown = if setting.kind == Kind::StoreUrl {
                sgd_lib::store::without_password(text)
            } else {
                text.to_owned()
            };
            wrong(setting, place(), &format!("{:?}", shortened(&shown)))
        })?;
        self.given |= 1 << row;
        Ok(())
    }
}

// `given` has a bit for each.
const _: () = assert!(table::TABLE.len() <= 64);

fn wrong(setting: &Setting, place: String, found: &str) -> SettingsError {
    SettingsError::Value { place, found: found.to_owned(), wanted: setting.wanted() }
}

#[cfg(test)]
mod tests;
