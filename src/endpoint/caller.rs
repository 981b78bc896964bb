//! The caller of an endpoint, as the host knows it.

use crate::ids::{RequestId, Source};

/// The address of a caller and the id of its request. Failures are counted by source, and audit events
/// carry both. The default has neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The address of the client.
    pub source: Option<&'a Source>,
    /// The id of the request.
    pub request_id: Option<&'a RequestId>,
}

impl<'a> Caller<'a> {
    /// Sets the address of the client.
    #[must_use]
    pub const fn at(mut self, source: &'a Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Sets the id of the request.
    #[must_use]
    pub const fn with_request_id(mut self, request_id: &'a RequestId) -> Self {
        self.request_id = Some(request_id);
        self
    }
}
