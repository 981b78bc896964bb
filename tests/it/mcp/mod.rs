//! The expectations of MCP clients of an authorization server, and of an MCP server.

mod conformance;
#[cfg(feature = "axum")]
mod layer;
mod locations;
mod requests;
