//! How far the wipe of a device is, in words.

use super::texts::devices as text;
use super::times::When;
use crate::clock::UnixTime;
use crate::store::Wipe;

/// A part of a sentence.
pub(super) enum Part {
    Text(&'static str),
    /// A text that the console did not write.
    Name(String),
    Time(When),
}

/// The state of a wipe: a word with its tone, and a sentence.
pub(super) struct WipeState {
    pub(super) label: &'static str,
    pub(super) tone: &'static str,
    pub(super) parts: Vec<Part>,
}

/// The sentences of each state. Their places are `{by}` and `{ordered}`, of the order, and `{at}`.
pub(super) struct Sentences {
    pub(super) requested: &'static str,
    pub(super) notified: &'static str,
    pub(super) done: &'static str,
    /// Of a device that wiped itself.
    pub(super) done_itself: &'static str,
}

impl WipeState {
    /// Describes `wipe` as it is at `now`; `None` if none is ordered.
    pub(super) fn new(wipe: &Wipe, sentences: &Sentences, now: UnixTime) -> Option<Self> {
        let ([label, tone], pattern, at) = match wipe {
            Wipe::None => return None,
            Wipe::Requested { order } => (text::IS_ORDERED, sentences.requested, order.at),
            Wipe::Notified { at, .. } => (text::IS_TOLD, sentences.notified, *at),
            Wipe::Done { order: Some(_), at } => (text::IS_WIPED, sentences.done, *at),
            Wipe::Done { order: None, at } => (text::IS_WIPED, sentences.done_itself, *at),
        };
        let mut pieces = pattern.split('{');
        let mut parts = vec![Part::Text(pieces.next().unwrap_or_default())];
        for piece in pieces {
            let (place, rest) = piece.split_once('}').unwrap_or((piece, ""));
            match (place, wipe.order()) {
                ("by", Some(order)) => parts.push(Part::Name(order.by.clone())),
                ("ordered", Some(order)) => parts.push(Part::Time(When::new(order.at, now))),
                _ => parts.push(Part::Time(When::new(at, now))),
            }
            parts.push(Part::Text(rest));
        }
        Some(Self { label, tone, parts })
    }
}
