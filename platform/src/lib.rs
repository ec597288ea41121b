//! What functions and the command line share: the settings table and the invoker.
