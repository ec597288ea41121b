//! Starts a private redis-server, waits until it answers, stops it again.
