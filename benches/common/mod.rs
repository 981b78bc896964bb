//! Parts that several benches share.

pub(crate) mod evidence;
pub(crate) mod floor;
pub(crate) mod world;
