//! Builders for whole platforms in tests, and the scenarios that run on them.
