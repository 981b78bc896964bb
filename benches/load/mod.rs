//! The parts of the load: server processes, a client, and its requests.

pub(crate) mod apps;
pub(crate) mod client;
pub(crate) mod floor;
pub(crate) mod process;
