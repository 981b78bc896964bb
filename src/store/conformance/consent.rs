//! Checks of remembered consents.

use super::bench::{CUTOFFS, Cast, GRANT_LIFE, HOUR, at, end, holds, same};
use super::{Check, Kit, Runner, Violation};
use crate::ids::Resource;
use crate::protocol::scope::Scope;
use crate::store::{Consent, FeedCursor, Page, RevocationReason, RevocationTarget, Store};

fn consent(cast: &Cast, scope: &str, millis: i64) -> Check<Consent> {
    Ok(Consent {
        client_id: cast.client_id.clone(),
        subject: cast.subject.clone(),
        scope: Scope::parse(scope).map_err(|error| Violation::new(error.to_string()))?,
        resource: Resource::new("https://api.example.com/v1").ok(),
        given_at: at(millis),
    })
}

/// A consent is found as it was given, the latest in place of the earlier, for its app and user
/// only.
pub fn a_consent_is_remembered_for_its_app_and_user<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.cast()?, bench.cast()?);
    let find = |app: &Cast, user: &Cast| {
        bench.wait(bench.store.find_consent(&app.client_id, &user.subject))
    };
    same("before it was given", find(&cast, &cast)?, None)?;
    for (scope, millis) in [("files.read", 0), ("files.read files.write", 1), ("mail", 2)] {
        let given = consent(&cast, scope, millis)?;
        bench.wait(bench.store.remember_consent(given.clone()))?;
        same("the consent", find(&cast, &cast)?, Some(given))?;
    }
    same("of another user", find(&cast, &other)?, None)?;
    same("for another app", find(&other, &cast)?, None)
}

/// R17: a withdrawal forgets the consent and ends the access of the app as that user. Other apps and users,
/// and later consents, are unaffected.
pub fn a_withdrawal_forgets_and_revokes<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.cast()?, bench.cast()?);
    let same_app = Cast { client_id: cast.client_id.clone(), ..bench.cast()? };
    for cast in [&cast, &other, &same_app] {
        bench.wait(bench.store.remember_consent(consent(cast, "files.read", 0)?))?;
    }
    let (family, pending) = (bench.family(&cast)?, bench.pending(&cast)?);
    let bystanders = [bench.family(&other)?, bench.family(&same_app)?];
    let until = at(GRANT_LIFE);
    let withdrawn = bench.wait(bench.store.withdraw_consent(
        &cast.client_id,
        &cast.subject,
        at(-HOUR),
        until,
    ))?;
    bench.is_dead("a grant of a withdrawn consent", &family, 0)?;
    bench.is_dead("a code of a withdrawn consent", &pending, 0)?;
    for bystander in &bystanders {
        bench.is_alive("a grant of another consent", bystander, 0)?;
    }
    let find = |cast: &Cast| bench.wait(bench.store.find_consent(&cast.client_id, &cast.subject));
    same("the withdrawn consent", find(&cast)?, None)?;
    for cast in [&other, &same_app] {
        holds(find(cast)?.is_some(), || "another consent was forgotten")?;
    }
    let (entries, _) = bench.read_feed(FeedCursor::default(), 10, 0)?;
    let target = RevocationTarget::AppAndSubject(cast.client_id.clone(), cast.subject.clone());
    let entry = entries.into_iter().find(|entry| entry.target == target);
    let told = entry.map(|entry| (entry.at, entry.why, entry.until));
    let expected = (withdrawn.at, RevocationReason::ConsentWithdrawn, until);
    same("the withdrawal in the feed", told, Some(expected))?;
    bench.is_alive("a grant that was agreed to afterwards", &bench.family(&cast)?, 0)
}

/// R17: a consent given at or before the instant of a withdrawal, or of a revocation that covers the app or
/// the user, is not remembered after it. A later consent is.
pub fn a_consent_does_not_outlive_its_withdrawal<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let bystander = bench.cast()?;
    for index in 0..=CUTOFFS {
        let cast = bench.attested_cast()?;
        let Cast { client_id, subject, .. } = &cast;
        let remember = |cast: &Cast, given_at| -> Check<Option<Consent>> {
            let given = Consent { given_at, ..consent(cast, "files.read", 0)? };
            bench.wait(bench.store.remember_consent(given))?;
            bench.wait(bench.store.find_consent(&cast.client_id, &cast.subject))
        };
        let earlier = bench.pending(&cast)?.authorized_at;
        let target = cast.cutoffs().into_iter().nth(index);
        let what = format!("after {target:?}, or the withdrawal if there is none");
        let ended_at = if let Some(target) = &target {
            bench.revoke(&end(target.clone(), 0))?
        } else {
            let until = at(GRANT_LIFE);
            bench.wait(bench.store.withdraw_consent(client_id, subject, at(0), until))?.at
        };
        let is_narrower = matches!(
            target,
            Some(
                RevocationTarget::Device(..)
                    | RevocationTarget::NamedDevice(_)
                    | RevocationTarget::Session(_)
                    | RevocationTarget::EvidenceIssuer(_)
            )
        );
        if !is_narrower {
            same(&what, remember(&cast, earlier)?, None)?;
            same(&what, remember(&cast, ended_at)?, None)?;
        }
        if target != Some(RevocationTarget::Everything) {
            let others = remember(&bystander, ended_at)?;
            holds(others.is_some(), || format!("{what} another consent is not remembered"))?;
        }
        let later = bench.pending(&cast)?.authorized_at;
        let found = remember(&cast, later)?.map(|found| found.given_at);
        same(&format!("agreed to {what}"), found, Some(later))?;
    }
    Ok(())
}

/// An app that is registered again under the client id of a deleted one inherits no consent.
pub fn a_deleted_app_is_agreed_to_no_more<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (deleted, other) = (bench.cast()?, bench.cast()?);
    for cast in [&deleted, &other] {
        bench.wait(bench.store.remember_consent(consent(cast, "files.read", 0)?))?;
    }
    bench.delete(&deleted.client_id)?;
    let find = |cast: &Cast| bench.wait(bench.store.find_consent(&cast.client_id, &cast.subject));
    same("for the deleted app", find(&deleted)?, None)?;
    same("for another app", find(&other)?, Some(consent(&other, "files.read", 0)?))
}

/// The list of a user's consents has each of them once, in order, in pages no larger than asked, and none of
/// another user, of a withdrawal or of a deleted app.
pub fn the_consents_of_a_user_are_listed_in_the_order_of_the_apps<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let user = bench.cast()?;
    let mut given = Vec::new();
    for _ in 0..5 {
        let cast = Cast { subject: user.subject.clone(), ..bench.cast()? };
        let consent = consent(&cast, "files.read", 0)?;
        bench.wait(bench.store.remember_consent(consent.clone()))?;
        given.push(consent);
    }
    for same_app in given.iter().take(1) {
        let other = Cast { client_id: same_app.client_id.clone(), ..bench.cast()? };
        bench.wait(bench.store.remember_consent(consent(&other, "mail", 0)?))?;
    }
    given.sort_by(|one, other| one.client_id.cmp(&other.client_id));
    let list = || -> Check<Vec<Consent>> {
        let mut found = Vec::new();
        let mut page = Page::first(2);
        for _ in 0..=given.len() {
            let listing = bench.wait(bench.store.list_consents(&user.subject, page.clone()))?;
            holds(listing.items.len() <= 2, || "a page is larger than asked")?;
            found.extend(listing.items);
            match listing.next {
                Some(next) => page = page.after(next),
                None => return Ok(found),
            }
        }
        Ok(found)
    };
    same("the consents", list()?, given.clone())?;
    let [withdrawn, left @ .., deleted] = &given[..] else { return Ok(()) };
    let until = at(GRANT_LIFE);
    bench.wait(bench.store.withdraw_consent(&withdrawn.client_id, &user.subject, at(0), until))?;
    bench.delete(&deleted.client_id)?;
    same("the consents that are left", list()?, left.to_vec())
}
