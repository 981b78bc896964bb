//! The devices of a server that wipes phones: how a token request names one, what a phone asks about its
//! wipe, and the rules that it reads.

mod named;
mod policy;
mod wipe;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use named::NamedDevice;
pub use policy::DevicePolicy;

use crate::store::SharedDevices;

/// How long the row of a device is kept after its last access has expired, and after its wipe.
pub(crate) const KEPT: Duration = Duration::from_hours(90 * 24);

/// The devices of a server.
#[derive(Debug)]
pub(crate) struct Devices {
    pub(crate) store: Arc<dyn SharedDevices>,
    /// The URL at which a phone asks whether it has to wipe its data, unless it is not mounted.
    pub(crate) wipe_check: Option<Arc<str>>,
}
