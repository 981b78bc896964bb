//! The text by which a row of the revocations names its target: one row per target.

use super::unreadable;
use crate::store::{RevocationTarget, StoreError};

/// Separates a client id, a subject and a device id. None of them holds control characters.
const SEPARATOR: char = '\n';

/// Writes a target: `*`, `a:` and the app, `s:` and the user, `p:` and both with a line feed between them,
/// `d:` and the name of a device, `g:` and the grant; `device:` and app, user and device with line feeds
/// between them, `session:` and the session, `evidence:` and the evidence issuer.
pub(in crate::store) fn write_target(target: &RevocationTarget) -> String {
    match target {
        RevocationTarget::Everything => "*".to_owned(),
        RevocationTarget::App(client_id) => format!("a:{client_id}"),
        RevocationTarget::Subject(subject) => format!("s:{subject}"),
        RevocationTarget::AppAndSubject(client_id, subject) => {
            format!("p:{client_id}{SEPARATOR}{subject}")
        }
        RevocationTarget::Device(client_id, subject, device) => {
            format!("device:{client_id}{SEPARATOR}{subject}{SEPARATOR}{device}")
        }
        RevocationTarget::NamedDevice(device) => format!("d:{device}"),
        RevocationTarget::Session(session) => format!("session:{session}"),
        RevocationTarget::EvidenceIssuer(issuer) => format!("evidence:{issuer}"),
        RevocationTarget::Grant(grant_id) => format!("g:{grant_id}"),
    }
}

/// Reads what [`write_target`] wrote.
pub(in crate::store) fn read_target(text: &str) -> Result<RevocationTarget, StoreError> {
    parse(text).ok_or_else(|| unreadable("target"))
}

fn parse(text: &str) -> Option<RevocationTarget> {
    if text == "*" {
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
            RevocationTarget::NamedDevice(device("a")),
            RevocationTarget::Session("a:b".parse().unwrap()),
            RevocationTarget::EvidenceIssuer("https://idp.example".parse().unwrap()),
            RevocationTarget::Grant(GrantId::from_bytes([7; 16])),
        ];
        let written: std::collections::HashSet<_> = targets.iter().map(write_target).collect();
        assert_eq!(written.len(), targets.len());
        for target in targets {
            assert_eq!(read_target(&write_target(&target)).unwrap(), target);
        }
        for bad in ["", "a", "a:", "p:a", "g:short", "x:a", "device:a\nb"] {
            assert!(read_target(bad).is_err(), "{bad}");
        }
    }
}
