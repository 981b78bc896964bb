//! Checks of [`IssuerStore`].

use super::bench::{Bench, at, same};
use super::dropped_futures::{at_every_await, leaves_none, poll_and_drop};
use super::issuers::with_both;
use super::race::{CONTENDERS, count, race};
use super::{Check, Kit, NamedCheck, Runner, Violation};
use crate::app::{IssuerKeys, JwksUri, TrustedIssuer};
use crate::ids::EvidenceIssuer;
use crate::jwt::Algorithm;
use crate::store::{IssuerRecord, IssuerStore, PutIssuer, Store};

fn invalid(error: impl std::fmt::Display) -> Violation {
    Violation::new(error.to_string())
}

pub(super) fn all<S: Store + IssuerStore, R: Runner>() -> Vec<NamedCheck<S, R>> {
    vec![
        ("issuers_are_listed_as_they_were_stored", issuers_are_listed_as_they_were_stored),
        ("an_edit_of_an_issuer_needs_its_version", an_edit_of_an_issuer_needs_its_version),
        ("a_removed_issuer_is_gone", a_removed_issuer_is_gone),
        ("one_of_many_edits_of_an_issuer_succeeds", one_of_many_edits_of_an_issuer_succeeds),
        (
            "a_dropped_edit_of_an_issuer_is_stored_or_not",
            a_dropped_edit_of_an_issuer_is_stored_or_not,
        ),
    ]
}

pub(super) fn of_two<S: Store + IssuerStore, R: Runner>() -> Vec<NamedCheck<S, R>> {
    vec![("issuers_share_no_trust", issuers_share_no_trust)]
}

/// Returns a record of the issuer `name` with this version.
fn record(name: &str, version: u64) -> Check<IssuerRecord> {
    let issuer = EvidenceIssuer::new(name).map_err(invalid)?;
    let keys = JwksUri::new("https://idp.example/keys").map_err(invalid)?;
    let label = format!("Version {version}, 'quoted' \"twice\" \u{e9}");
    let settings = TrustedIssuer::new(issuer, label, IssuerKeys::Uri(keys), [Algorithm::ES256])
        .with_reuse(true);
    Ok(IssuerRecord { settings, version, updated_at: at(7), declared: version.is_multiple_of(2) })
}

fn fresh(version: u64) -> Check<IssuerRecord> {
    let name = u64::from_be_bytes(super::random_bytes()?);
    record(&format!("https://idp.example/{name:x}"), version)
}

impl<S: Store + IssuerStore, R: Runner> Bench<'_, S, R> {
    fn put(&self, record: &IssuerRecord, expected: Option<u64>) -> Check<PutIssuer> {
        self.wait(self.store.put_issuer(record, expected))
    }

    fn trusted(&self) -> Check<Vec<IssuerRecord>> {
        self.wait(self.store.list_issuers())
    }

    fn remove(&self, record: &IssuerRecord) -> Check<bool> {
        self.wait(self.store.remove_issuer(record.settings.issuer()))
    }
}

/// Records come back as they were stored, in the order of the issuers' names.
pub fn issuers_are_listed_as_they_were_stored<S: Store + IssuerStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    same("the issuers of a new store", bench.trusted()?, Vec::new())?;
    // In the order of bytes, which databases with a collation do not have.
    let names = ["https://IDP.example", "https://idp.example", "urn:idp'", "\u{e9}:idp"];
    let records =
        names.iter().map(|name| record(name, u64::MAX >> 12)).collect::<Check<Vec<_>>>()?;
    for one in records.iter().rev() {
        same("a new issuer", bench.put(one, None)?, PutIssuer::Stored)?;
    }
    same("the issuers", bench.trusted()?, records)
}

/// An edit needs the version that is stored, and a new record that there is none.
pub fn an_edit_of_an_issuer_needs_its_version<S: Store + IssuerStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let one = fresh(5)?;
    let name = one.settings.issuer().as_str().to_owned();
    let two = record(&name, 6)?;
    same("an edit of no issuer", bench.put(&two, Some(5))?, PutIssuer::Conflict)?;
    same("the issuers", bench.trusted()?, Vec::new())?;
    same("a new issuer", bench.put(&one, None)?, PutIssuer::Stored)?;
    same("a second new issuer", bench.put(&two, None)?, PutIssuer::Conflict)?;
    for other in [4, 6] {
        same("an edit of another version", bench.put(&two, Some(other))?, PutIssuer::Conflict)?;
    }
    same("the issuers", bench.trusted()?, vec![one])?;
    same("an edit", bench.put(&two, Some(5))?, PutIssuer::Stored)?;
    same("the same edit again", bench.put(&two, Some(5))?, PutIssuer::Conflict)?;
    same("the issuers", bench.trusted()?, vec![two])
}

/// A removed record is gone at any version, and its issuer may be stored again.
pub fn a_removed_issuer_is_gone<S: Store + IssuerStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (one, other) = (fresh(1)?, fresh(1)?);
    for record in [&one, &other] {
        same("a new issuer", bench.put(record, None)?, PutIssuer::Stored)?;
    }
    same("the removal", bench.remove(&one)?, true)?;
    same("the removal again", bench.remove(&one)?, false)?;
    same("the issuers", bench.trusted()?, vec![other.clone()])?;
    same("an edit of a removed issuer", bench.put(&one, Some(1))?, PutIssuer::Conflict)?;
    same("a new issuer", bench.put(&one, None)?, PutIssuer::Stored)?;
    same("how many there are", bench.trusted()?.len(), 2)
}

/// Of many edits of one version one succeeds, and is stored.
pub fn one_of_many_edits_of_an_issuer_succeeds<S: Store + IssuerStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds.div_ceil(8),
        |round| {
            let one = fresh(1)?;
            // In every other round they add it.
            if round % 2 == 1 {
                same("a new issuer", bench.put(&one, None)?, PutIssuer::Stored)?;
            }
            Ok((one, (round % 2 == 1).then_some(1)))
        },
        |(one, expected), contender| {
            let version = 10 + u64::try_from(contender).unwrap_or(0);
            bench.put(&record(one.settings.issuer().as_str(), version)?, *expected)
        },
        |(one, _), answers| {
            let stored = count(&answers, |answer| *answer == PutIssuer::Stored);
            let refused = count(&answers, |answer| *answer == PutIssuer::Conflict);
            same("stored and refused", (stored, refused), (1, CONTENDERS - 1))?;
            let winner = answers.iter().position(|answer| *answer == PutIssuer::Stored);
            let issuer = one.settings.issuer();
            let found = bench.trusted()?.into_iter().find(|it| it.settings.issuer() == issuer);
            let found = found.and_then(|it| usize::try_from(it.version).ok());
            same("the record of the winner", found, winner.map(|it| it + 10))?;
            same("the removal", bench.remove(one)?, true)
        },
    )
}

/// A dropped future has stored a record or not, and leaves no transaction open.
pub fn a_dropped_edit_of_an_issuer_is_stored_or_not<S: Store + IssuerStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    let store = &bench.store;
    leaves_none(&bench, other.as_ref(), || {
        let one = fresh(1)?;
        Ok(async move { store.put_issuer(&one, None).await })
    })?;
    at_every_await(|polls| {
        let one = fresh(1)?;
        let ready = poll_and_drop(&bench, polls, store.put_issuer(&one, None))?;
        // A database may finish a statement whose caller is gone.
        let again = bench.put(&one, None)?;
        same("how it ended", again == PutIssuer::Stored && ready, false)?;
        let found = bench.trusted()?.contains(&one);
        same("the record in the end", found, true)?;
        Ok(ready)
    })
}

/// The issuers that one server trusts are not those of another.
pub fn issuers_share_no_trust<S: Store + IssuerStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    with_both(kit, |here, there, _| {
        let one = fresh(1)?;
        let before = there.trusted()?;
        same("a new issuer", here.put(&one, None)?, PutIssuer::Stored)?;
        same("those of another server", there.trusted()?, before)?;
        same("the same at another server", there.put(&one, None)?, PutIssuer::Stored)?;
        same("the removal", here.remove(&one)?, true)?;
        same("whether the other trusts it", there.trusted()?.contains(&one), true)
    })
}
