//! The batch experiments: every configuration of a grid, some rounds each, and what they took.
//!
//! | module | what it is about |
//! |---|---|
//! | `overlay` | the grid's stack files, each derived from `stack.yml` |
//! | `plan` | configurations: stack files, with further settings varied |
//! | `site` | the platform that rounds take place on |
//! | `round` | one round: deploy, scale, wait, train, collect, undeploy |
//! | `results` | the journal of rounds, from which an interrupted grid goes on |
//! | `summary` | mean and standard deviation of a configuration's rounds |
//! | `original` | what the original experiments published |
//! | `output` | `output.txt`, a Markdown page, CSV |
//! | `plots` | SVG |

mod original;
pub(crate) mod output;
pub(crate) mod overlay;
pub(crate) mod plan;
mod plots;
pub(crate) mod results;
pub(crate) mod round;
pub(crate) mod site;
pub(crate) mod summary;
