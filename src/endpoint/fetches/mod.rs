//! The bounds of the fetches that strangers cause: of client metadata documents, and of the keys of apps.

mod flights;
mod kept;
mod places;

pub(crate) use flights::Flights;
pub(crate) use kept::{Class, Kept};
pub(crate) use places::{Place, Places};

use std::time::Duration;

use http::header::{ACCEPT, CONNECTION};

use crate::app::DocumentProblem;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Rejection};
use crate::ids::Source;

/// The age at which keys are no longer used, although each fetch since has failed.
pub(crate) const MAX_AGE: Duration = Duration::from_hours(24);
/// The shortest time between the starts of two fetches.
pub(crate) const PAUSE: Duration = Duration::from_mins(1);

/// The reason to ask for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// To verify an assertion.
    Use,
    /// An assertion has an unknown key.
    Newer,
}

const TOO_MANY: Rejection = Rejection::ClientDocument(DocumentProblem::TooMany);

/// Returns a request for a URL that a stranger may have chosen. Its connection does not stay open: there may be any
/// number of hosts.
pub(crate) fn request(url: &str, accept: &'static str) -> Option<http::Request<Vec<u8>>> {
    let request = http::Request::get(url).header(ACCEPT, accept).header(CONNECTION, "close");
    request.body(Vec::new()).ok()
}

impl<S, U, H> Context<S, U, H> {
    /// Admits a fetch from `host` for an app that no administrator vouches for: it gets a place, and is charged to its
    /// source.
    pub(crate) fn admit_fetch(
        &self,
        host: &str,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<Place<'_>, EndpointError> {
        let place = self.fetch_places.take(host, source).ok_or(TOO_MANY)?;
        self.charge_fetch(source, now)?;
        Ok(place)
    }

    /// Charges a fetch to its source.
    pub(crate) fn charge_fetch(
        &self,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<(), EndpointError> {
        let charged = self.limiter.charge_document(source, now);
        charged.map_err(|retry| EndpointError::limited(TOO_MANY, retry))
    }
}

/// Returns the distance of two instants in either direction: after the clock was set back, nothing is fresh.
pub(crate) fn age(at: UnixTime, now: UnixTime) -> Duration {
    Duration::from_millis(now.millis_since(at).unsigned_abs())
}
