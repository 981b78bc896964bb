//! Apps that no administrator registered.

mod consent;
mod document;
mod keys;
mod limits;
#[cfg(feature = "fetch")]
mod network;
mod powers;
mod rows;
pub(crate) mod site;
