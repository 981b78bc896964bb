//! The pieces of the load: servers as processes, a client, and what it sends.

pub(crate) mod apps;
pub(crate) mod client;
pub(crate) mod floor;
pub(crate) mod process;
