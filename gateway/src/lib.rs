//! A local, OpenFaaS-compatible gateway: one process per replica, no containers.
