//! The text by which a row of the revocations names its target: one row per target.

use std::borrow::Cow;

use super::{Names, unreadable};
use crate::store::{RevocationTarget, StoreError};

/// Separates a client id, a subject and a device id. None of them holds control characters.
const SEPARATOR: char = '\n';

/// Writes a target: `*`, `a:` and the app, `s:` and the user, `p:` and both with a line feed between them,
/// `d:` and the name of a device, `g:` and the grant; `device:` and app, user and device with line feeds
/// between them, `session:` and the session, `evidence:` and the evidence issuer. Apps and users are written
/// with the issuer's tag, and other names follow it; everything of a further issuer is `*:` and the tag.
pub(in crate::store) fn write_target(names: &Names, target: &RevocationTarget) -> String {
    let tag = names.tag();
    match target {
        RevocationTarget::Everything if tag.is_empty() => "*".to_owned(),
        RevocationTarget::Everything => format!("*:{tag}"),
        RevocationTarget::App(client_id) => format!("a:{tag}{client_id}"),
        RevocationTarget::Subject(subject) => format!("s:{tag}{subject}"),
        RevocationTarget::AppAndSubject(client_id, subject) => {
            format!("p:{tag}{client_id}{SEPARATOR}{tag}{subject}")
        }
        RevocationTarget::Device(client_id, subject, device) => {
            format!("device:{tag}{client_id}{SEPARATOR}{tag}{subject}{SEPARATOR}{device}")
        }
        RevocationTarget::NamedDevice(device) => format!("d:{tag}{device}"),
        RevocationTarget::Session(session) => format!("session:{tag}{session}"),
        RevocationTarget::EvidenceIssuer(issuer) => format!("evidence:{tag}{issuer}"),
        RevocationTarget::Grant(grant_id) => format!("g:{tag}{grant_id}"),
    }
}

/// Reads what [`write_target`] wrote for the same issuer.
pub(in crate::store) fn read_target(
    names: &Names,
    text: &str,
) -> Result<RevocationTarget, StoreError> {
    // A tag stands before a name or ends the text. Inside a name there is no line feed.
    let tag = names.tag();
    let plain = if tag.is_empty() { Cow::Borrowed(text) } else { text.replace(tag, "").into() };
    parse(&plain).ok_or_else(|| unreadable("target"))
}

fn parse(text: &str) -> Option<RevocationTarget> {
    if matches!(text, "*" | "*:") {
        return Some(RevocationTarget::Everything);
    }
    let (kind, rest) = text.split_once(':')?;
    match kind {
        "a" => rest.parse().ok().map(RevocationTarget::App),
        "s" => rest.parse().ok().map(RevocationTarget::Subject),
        "p" => {
            let (client_id, subject) = rest.split_once(SEPARATOR)?;
            let (client_id, subject) = (client_id.parse().ok()?, subject.parse().ok()?);
            Some(RevocationTarget::AppAndSubject(client_id, subject))
        }
        "d" => rest.parse().ok().map(RevocationTarget::NamedDevice),
        "device" => {
            let (client_id, rest) = rest.split_once(SEPARATOR)?;
            let (subject, device) = rest.split_once(SEPARATOR)?;
            let (client_id, subject) = (client_id.parse().ok()?, subject.parse().ok()?);
            Some(RevocationTarget::Device(client_id, subject, device.parse().ok()?))
        }
        "session" => rest.parse().ok().map(RevocationTarget::Session),
        "evidence" => rest.parse().ok().map(RevocationTarget::EvidenceIssuer),
        "g" => rest.parse().ok().map(RevocationTarget::Grant),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClientId, DeviceId, GrantId, Subject};

    #[test]
    fn a_target_is_read_as_it_was_written_and_no_two_are_written_alike() {
        let app = |text: &str| ClientId::new(text).unwrap();
        let user = |text: &str| Subject::new(text).unwrap();
        let device = |text: &str| DeviceId::new(text).unwrap();
        let targets = [
            RevocationTarget::Everything,
            RevocationTarget::App(app("*")),
            RevocationTarget::App(app("a:b c")),
            RevocationTarget::Subject(user("a:b c")),
            RevocationTarget::AppAndSubject(app("a b"), user("c")),
            RevocationTarget::AppAndSubject(app("a"), user("b c")),
            RevocationTarget::Device(app("a"), user("b"), device("c d")),
            RevocationTarget::Device(app("a"), user("b c"), device("d")),
            RevocationTarget::Device(app("7"), user("7"), device("7")),
            RevocationTarget::NamedDevice(device("a")),
            RevocationTarget::Session("a:b".parse().unwrap()),
            RevocationTarget::EvidenceIssuer("https://idp.example".parse().unwrap()),
            RevocationTarget::Grant(GrantId::from_bytes([7; 16])),
        ];
        let issuers = [Names::default(), Names::of(7), Names::of(70)];
        let each = || issuers.iter().flat_map(|names| targets.iter().map(move |it| (names, it)));
        let written: std::collections::HashSet<_> =
            each().map(|(names, target)| write_target(names, target)).collect();
        assert_eq!(written.len(), targets.len() * issuers.len());
        for (names, target) in each() {
            assert_eq!(read_target(names, &write_target(names, target)).unwrap(), *target);
        }
        for bad in ["", "a", "a:", "p:a", "g:short", "x:a", "device:a\nb"] {
            assert!(read_target(&Names::default(), bad).is_err(), "{bad}");
        }
    }
}
