//! Downpour SGD: the parameter log, leases, the worker loop, evaluation.
