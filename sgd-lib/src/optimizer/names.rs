//! Names of choices, as settings and reports write them.

/// A name that is none of those allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is `{found}`; it must be one of {allowed}")]
pub struct UnknownName {
    what: &'static str,
    found: String,
    allowed: &'static str,
}

/// Implements `Display` and `FromStr` for an enum of unit variants with one name each.
macro_rules! named {
    ($type:ident, $what:literal, $first:ident = $first_name:literal $(, $variant:ident = $name:literal)+ $(,)?) => {
        impl $type {
            /// Every choice.
            pub const ALL: &'static [Self] = &[Self::$first $(, Self::$variant)+];

            /// The name in settings and reports.
            pub fn name(self) -> &'static str {
                match self {
                    Self::$first => $first_name,
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::optimizer::UnknownName;

            fn from_str(found: &str) -> Result<Self, Self::Err> {
                let allowed = concat!($first_name $(, ", ", $name)+);
                Self::ALL
                    .iter()
                    .copied()
                    .find(|choice| choice.name() == found)
                    .ok_or_else(|| $crate::optimizer::UnknownName::new($what, found, allowed))
            }
        }
    };
}

pub(super) use named;

impl UnknownName {
    pub(super) fn new(what: &'static str, found: &str, allowed: &'static str) -> Self {
        Self { what, found: found.to_owned(), allowed }
    }
}
