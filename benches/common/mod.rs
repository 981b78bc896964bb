//! What both benches use.

pub(crate) mod floor;
pub(crate) mod world;
