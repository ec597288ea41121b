//! From a setting's text to its type and back.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeBounds as _;
use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use sgd_lib::dataset::Transpose;
use sgd_lib::downpour::{Algorithm, Combine, Database, StalenessLr};
use sgd_lib::optimizer::{LearningRateSchedule, OptimizerKind};
use sgd_lib::store::without_password;

use super::choices::{Codec, Dataset, DatasetSource, FanOut, TrainType};
use super::kind::Kind;
use super::workers::Workers;
use crate::invoker::UrlTemplate;
use crate::secrets;

/// The widest hidden layer.
const MAX_WIDTH: usize = 1 << 16;
/// The most hidden layers.
const MAX_HIDDEN_LAYERS: usize = 64;
/// The port of a gateway that is given without one.
const GATEWAY_PORT: u16 = 8080;

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// Whether `none` is a value.
    const OPTIONAL: bool = false;

    /// The value that `text` means, if `kind` allows it.
    fn read(text: &str, kind: &Kind) -> Option<Self>;

    /// The text that [`Value::read`] reads as this value.
    fn write(&self) -> String;
}

impl<T: Value> Value for Option<T> {
    const OPTIONAL: bool = true;

    fn read(text: &str, kind: &Kind) -> Option<Self> {
        if matches!(text, "" | "none") { Some(None) } else { T::read(text, kind).map(Some) }
    }

    fn write(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::write)
    }
}

impl Value for u64 {
    fn read(text: &str, kind: &Kind) -> Option<Self> {
        let Kind::Integer { least, most } = *kind else { return None };
        text.parse().ok().filter(|value| (least..=most).contains(value))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for usize {
    fn read(text: &str, kind: &Kind) -> Option<Self> {
        u64::read(text, kind)?.try_into().ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for Workers {
    fn read(text: &str, kind: &Kind) -> Option<Self> {
        let Kind::IntegerOrAuto { least, most } = *kind else { return None };
        if text == "auto" {
            return Some(Self::Auto);
        }
        usize::read(text, &Kind::Integer { least, most }).map(Self::Fixed)
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for f64 {
    fn read(text: &str, kind: &Kind) -> Option<Self> {
        let Kind::Number(low, high) = *kind else { return None };
        text.parse().ok().filter(|value: &Self| value.is_finite() && (low, high).contains(value))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for f32 {
    fn read(text: &str, kind: &Kind) -> Option<Self> {
        let Kind::Number(low, high) = *kind else { return None };
        // Checked as f32: what rounds to a bound that is excluded is out of range.
        text.parse()
            .ok()
            .filter(|value: &Self| value.is_finite() && (low, high).contains(&Into::<f64>::into(*value)))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for PathBuf {
    fn read(text: &str, _: &Kind) -> Option<Self> {
        if text.is_empty() || text.contains('\0') { None } else { Some(text.into()) }
    }

    fn write(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

/// The name of a secret, and the address of a gateway.
impl Value for String {
    fn read(text: &str, kind: &Kind) -> Option<Self> {
        match kind {
            Kind::SecretName => secrets::is_name(text).then(|| text.to_owned()),
            Kind::GatewayUrl => gateway_url(text),
            _ => None,
        }
    }

    fn write(&self) -> String {
        self.clone()
    }
}

/// The widths of the hidden layers, first to last.
impl Value for Vec<usize> {
    fn read(text: &str, _: &Kind) -> Option<Self> {
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match inner.unwrap_or(text).trim() {
            "" if inner.is_none() => None,
            "" | "0" | "none" => Some(Self::new()),
            list if list.matches(',').count() >= MAX_HIDDEN_LAYERS => None,
            list => list.split(',').map(width).collect(),
        }
    }

    fn write(&self) -> String {
        if self.is_empty() {
            return "none".to_owned();
        }
        self.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
    }
}

fn width(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|width| (1..=MAX_WIDTH).contains(width))
}

/// The address of a Redis; printing it shows no password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The address as it is, password included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether no network lies in between: a Unix socket, or this machine's own address.
    pub fn is_on_this_machine(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| match url.host_str() {
            None | Some("" | "localhost") => true,
            Some(host) => {
                host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
            }
        })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", without_password(&self.0))
    }
}

impl Value for StoreUrl {
    fn read(text: &str, _: &Kind) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let valid = match url.scheme() {
            "redis" | "rediss" | "valkey" | "valkeys" => url.host_str().is_some_and(|host| !host.is_empty()),
            "unix" | "redis+unix" => url.path().len() > 1,
            _ => false,
        };
        valid.then(|| Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Value for UrlTemplate {
    fn read(text: &str, _: &Kind) -> Option<Self> {
        Self::parse(text).ok()
    }

    fn write(&self) -> String {
        self.as_str().to_owned()
    }
}

/// A gateway's address without a slash at its end.
fn gateway_url(text: &str) -> Option<String> {
    let bare = !text.contains("://");
    let mut url = Url::parse(&if bare { format!("http://{text}") } else { text.to_owned() }).ok()?;
    let plain = url.scheme() == "http" && url.username().is_empty() && url.password().is_none();
    if !plain || url.query().is_some() || url.fragment().is_some() || (bare && url.path() != "/") {
        return None;
    }
    // `HOST:80` is also a port given, though `Url` leaves it out.
    if bare && url.port().is_none() && !text.trim_end_matches('/').ends_with(":80") {
        url.set_port(Some(GATEWAY_PORT)).ok()?;
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

macro_rules! words {
    ($($type:ty),+) => {$(
        impl Value for $type {
            fn read(text: &str, _: &Kind) -> Option<Self> {
                text.parse().ok()
            }

            fn write(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

words!(
    Algorithm,
    Codec,
    Combine,
    StalenessLr,
    Database,
    Dataset,
    DatasetSource,
    FanOut,
    LearningRateSchedule,
    OptimizerKind,
    TrainType,
    Transpose
);
