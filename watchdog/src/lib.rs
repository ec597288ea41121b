//! The HTTP server inside every function: OpenFaaS's contract, limits, metrics, drain.
