//! How a parameter delta becomes bytes and comes back.
