//! The roots of a key file, and their change.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyFile, KeyState};
use crate::clock::UnixTime;
use crate::random::{self, RandomError, SecureRandom};
use crate::server_secret::{RootPrint, ServerSecret, WeakServerSecret};

/// The use of a root of the [`ServerSecret`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RootUse {
    /// Codes, refresh tokens, tickets.
    Handles,
    /// Digests of client secrets.
    Pepper,
    /// Signature secrets.
    Sealing,
}

impl RootUse {
    /// Every use.
    pub const ALL: &'static [Self] = &[Self::Handles, Self::Pepper, Self::Sealing];

    /// Returns the name of the use in a key file.
    pub(in crate::server_secret) const fn name(self) -> &'static str {
        match self {
            Self::Handles => "handles",
            Self::Pepper => "pepper",
            Self::Sealing => "sealing",
        }
    }
}

/// A root of a [`KeyFile`] in one use, with its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootStatus {
    /// Its fingerprint, which names the use.
    pub print: RootPrint,
    /// Its state.
    pub state: KeyState,
    /// The instant at which it was made; `None` if it is retired.
    pub made_at: Option<UnixTime>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    #[serde(rename = "root")]
    pub(super) bytes: Zeroizing<String>,
    #[serde(rename = "for")]
    uses: Vec<RootUse>,
    made_at: UnixTime,
}

impl Root {
    pub(super) fn generate(
        uses: &[RootUse],
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<Self, RandomError> {
        let bytes = Zeroizing::new(random::array::<32>(random)?);
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.encode(&bytes[..]));
        Ok(Self { bytes, uses: uses.to_vec(), made_at: now })
    }

    fn decode(&self) -> Result<Zeroizing<Vec<u8>>, WeakServerSecret> {
        let bytes = URL_SAFE_NO_PAD.decode(&*self.bytes).map_err(|_| WeakServerSecret)?;
        Ok(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("uses", &self.uses)
            .field("made_at", &self.made_at)
            .finish_non_exhaustive()
    }
}

impl KeyFile {
    /// Returns the roots, for [`AuthorizationServer::builder`].
    ///
    /// [`AuthorizationServer::builder`]: crate::AuthorizationServer::builder
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] if a use has no root, or one of less than 32 bytes.
    pub fn server_secret(&self) -> Result<ServerSecret, WeakServerSecret> {
        let mut roots = Vec::new();
        for root in &self.roots {
            roots.push((root.decode()?, &root.uses));
        }
        let of = |wanted: RootUse| {
            let roots = roots.iter().filter(move |(_, uses)| uses.contains(&wanted));
            roots.map(|(bytes, _)| bytes.as_slice())
        };
        let (handles, pepper) = (of(RootUse::Handles), of(RootUse::Pepper));
        ServerSecret::of_roots(handles, pepper, of(RootUse::Sealing), self.retired.clone())
    }

    /// Returns the state of each root in each of its uses: use by use, the active root first, the retired
    /// ones last. Roots change by calls only, so their states have no instants.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] if a root has less than 32 bytes.
    pub fn root_states(&self) -> Result<Vec<RootStatus>, WeakServerSecret> {
        let mut states = Vec::new();
        for &root_use in RootUse::ALL {
            let mut active = None;
            for root in self.roots.iter().filter(|root| root.uses.contains(&root_use)) {
                let state = match active {
                    None => KeyState::Active,
                    Some(active) if root.made_at > active => KeyState::Published,
                    Some(_) => KeyState::Retiring,
                };
                active = active.or(Some(root.made_at));
                let print = RootPrint::of(&root.decode()?, root_use)?;
                states.push(RootStatus { print, state, made_at: Some(root.made_at) });
            }
            let retired = self.retired.iter().filter(|print| print.root_use() == root_use);
            let retired =
                retired.map(|&print| RootStatus { print, state: KeyState::Retired, made_at: None });
            states.extend(retired);
        }
        Ok(states)
    }

    /// Adds a new root for these uses. It only opens, until [`promote_root`](Self::promote_root): by
    /// then every process must know it, or it refuses the handles that other processes seal.
    ///
    /// A second call adds a second root, which is harmless: the promotion takes the newest.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source fails.
    pub fn add_root(
        &mut self,
        uses: &[RootUse],
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<(), RandomError> {
        // The order of the instants is the order of the calls, also if the clock was set back.
        let newest = self.roots.iter().map(|root| root.made_at).max();
        let after = newest.map_or(now, |newest| newest.plus(Duration::from_millis(1)));
        self.roots.push(Root::generate(uses, random, now.max(after))?);
        Ok(())
    }

    /// Seals with the newest root for `wanted`. The others are accepted until
    /// [`retire_root`](Self::retire_root). If the newest root seals already, the call is a no-op.
    pub fn promote_root(&mut self, wanted: RootUse) {
        let is_of_use = |(_, root): &(usize, &Root)| root.uses.contains(&wanted);
        let of_use = || self.roots.iter().enumerate().filter(is_of_use);
        let sealing = of_use().next().map(|(place, _)| place);
        // On a tie, the first root wins: it seals.
        let newest = of_use().rev().max_by_key(|(_, root)| root.made_at).map(|(place, _)| place);
        if let Some(place) = newest.filter(|_| newest != sealing) {
            // First for this use only: its other uses are promoted separately.
            let mut root = self.roots.remove(place);
            let others: Vec<_> = root.uses.iter().copied().filter(|own| *own != wanted).collect();
            if !others.is_empty() {
                self.roots.insert(place, Root { uses: others, ..root.clone() });
            }
            root.uses = vec![wanted];
            self.roots.insert(0, root);
        }
    }

    /// Retires all roots for `wanted` that are older than the one that seals. Handles and secrets that they
    /// sealed are refused. Roots without any use left are removed, and the file keeps their fingerprints.
    /// A root that was added and not promoted yet stays.
    pub fn retire_root(&mut self, wanted: RootUse) {
        let mut of_use = self.roots.iter_mut().filter(|root| root.uses.contains(&wanted));
        let Some(sealing) = of_use.next().map(|root| root.made_at) else { return };
        for root in of_use.filter(|root| root.made_at <= sealing) {
            root.uses.retain(|own| *own != wanted);
            // A weak root sealed nothing.
            if let Ok(print) = root.decode().and_then(|bytes| RootPrint::of(&bytes, wanted))
                && !self.retired.contains(&print)
            {
                self.retired.push(print);
            }
        }
        self.roots.retain(|root| !root.uses.is_empty());
    }
}
