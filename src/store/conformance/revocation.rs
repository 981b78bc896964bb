//! Checks of [`revoke`](crate::store::GrantStore::revoke) and
//! [`is_revoked`](crate::store::GrantStore::is_revoked), one caller at a time.

use std::time::Duration;

use super::bench::{
    CUTOFFS, Cast, GRANT_LIFE, HOUR, MINUTE, REVOKED, at, code, end, holds, new_app, same, token,
};
use super::{Check, Kit, Runner};
use crate::ids::Subject;
use crate::jwt::Parent;
use crate::store::{
    AccessFacts, DeleteApp, Grant, GrantRefusal, RedeemCode, Revocation, RevocationReason,
    RevocationTarget, Rotate, Rotation, Store,
};

/// R20: a cutoff voids every code, refresh token and access token of its target that was
/// authorized before it, and spares everything else.
pub fn a_cutoff_voids_what_was_authorized_before<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let other = bench.cast()?;
    for index in 0..CUTOFFS {
        let cast = bench.attested_cast()?;
        let (bystander, pending) = (bench.family(&other)?, bench.pending(&cast)?);
        let family = bench.family(&cast)?;
        bench.is_alive("before the cutoff", &family, 0)?;
        let Some(target) = cast.cutoffs().into_iter().nth(index) else { continue };
        bench.revoke(&end(target.clone(), 1))?;
        let what = format!("a grant that {target:?} covers");
        bench.is_dead(&what, &pending, 2)?;
        bench.is_dead(&what, &family, 2)?;
        if target != RevocationTarget::Everything {
            bench.is_alive("a grant of others", &bystander, 2)?;
        }
    }
    Ok(())
}

/// A grant that is authorized after a cutoff lives, of the same app, user and device.
pub fn a_cutoff_spares_what_is_authorized_after<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.attested_cast()?;
    for target in cast.cutoffs() {
        bench.revoke(&end(target.clone(), 0))?;
        let what = format!("a grant made after {target:?}");
        bench.is_alive(&what, &bench.pending(&cast)?, 0)?;
        bench.is_alive(&what, &bench.family(&cast)?, 0)?;
    }
    Ok(())
}

/// A cutoff is compared with the decision, not with what was made of it since: a code that is
/// redeemed later, a refresh token that was rotated later, are void.
pub fn a_cutoff_looks_at_the_decision_not_at_the_row<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    for index in 0..CUTOFFS {
        let cast = bench.attested_cast()?;
        let (pending, family) = (bench.pending(&cast)?, bench.family(&cast)?);
        // The live generation is much younger than the cutoff will be.
        let rotated = bench.rotate(&token(&family, 1, HOUR))?;
        same("before the cutoff", rotated, Rotate::Rotated)?;
        let Some(target) = cast.cutoffs().into_iter().nth(index) else { continue };
        bench.revoke(&end(target, 0))?;
        let answer = bench.redeem(&code(&pending, 1))?;
        let revoked = RedeemCode::Refused(GrantRefusal::Revoked);
        same("a code decided before the cutoff", answer, revoked)?;
        let young = Rotation { grace_millis: MINUTE, ..token(&family, 2, HOUR + 1) };
        same("a family decided before the cutoff", bench.rotate(&young)?, REVOKED)?;
        let retry = Rotation { generation: 1, ..young };
        same("a retry in that family", bench.rotate(&retry)?, REVOKED)?;
        bench.is_dead("that family", &family, HOUR + 1)?;
    }
    Ok(())
}

/// A cutoff covers its own target only: not the app of one and the user of another, and not the same
/// device id at another user or app.
pub fn a_cutoff_covers_its_target_only<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (one, other) = (bench.attested_cast()?, bench.attested_cast()?);
    let mixed = Cast {
        client_id: one.client_id.clone(),
        subject: other.subject.clone(),
        device: one.device.clone(),
        session: other.session.clone(),
        evidence_issuer: one.evidence_issuer.clone(),
    };
    let (of_one, of_mixed) = (bench.family(&one)?, bench.family(&mixed)?);
    let pair = |client: &Cast, user: &Cast| {
        RevocationTarget::AppAndSubject(client.client_id.clone(), user.subject.clone())
    };
    bench.revoke(&end(pair(&other, &one), 0))?;
    bench.is_alive("another app's grant of the user", &of_one, 0)?;
    bench.revoke(&end(pair(&one, &other), 0))?;
    bench.is_alive("the app's grant of another user", &of_one, 0)?;
    bench.is_dead("the app's grant of the user", &of_mixed, 0)?;
    // The same app and device, but another user; then the same user and device, but another app.
    let same_app = bench.family(&mixed)?;
    let same_user = bench.family(&Cast { client_id: other.client_id.clone(), ..one.clone() })?;
    let no_device = bench.decide(Grant { device: None, ..one.grant()? })?;
    let Cast { client_id, subject, device, .. } = one.clone();
    bench.revoke(&end(RevocationTarget::Device(client_id, subject, device.clone()), 0))?;
    bench.is_dead("a grant on the device", &of_one, 0)?;
    for (what, grant) in [
        ("a grant of another user on a device of this id", &same_app),
        ("a grant of another app on a device of this id", &same_user),
        ("a grant of no device", &no_device),
    ] {
        bench.is_alive(what, grant, 0)?;
    }
    bench.revoke(&end(RevocationTarget::NamedDevice(device), 0))?;
    bench.is_dead("a grant on a device of this id", &same_app, 0)?;
    bench.is_alive("a grant of no device", &no_device, 0)?;

    let plain = bench.family(&bench.cast()?)?;
    let (here, there) = (bench.family(&one)?, bench.family(&mixed)?);
    if let Some(session) = one.session.clone() {
        bench.revoke(&end(RevocationTarget::Session(session), 0))?;
    }
    bench.is_dead("a grant of the session", &here, 0)?;
    bench.is_alive("a grant of another session", &there, 0)?;
    bench.is_alive("a grant of no session", &plain, 0)?;
    let elsewhere = bench.family(&other)?;
    if let Some(issuer) = one.evidence_issuer {
        bench.revoke(&end(RevocationTarget::EvidenceIssuer(issuer), 0))?;
    }
    bench.is_dead("a grant on the evidence of the issuer", &there, 0)?;
    bench.is_alive("a grant on the evidence of another issuer", &elsewhere, 0)?;
    bench.is_alive("a grant on no evidence", &plain, 0)
}

/// If the clock jumps back, an earlier cutoff does not replace a later one, and it spares nothing that was
/// authorized before.
pub fn a_clock_that_jumps_back_spares_nothing<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    for index in 0..CUTOFFS {
        let cast = bench.attested_cast()?;
        let early = bench.family(&cast)?;
        bench.instant(HOUR)?;
        let late = bench.decide(cast.impersonation()?)?;
        let Some(target) = cast.cutoffs().into_iter().nth(index) else { continue };
        bench.revoke(&end(target.clone(), 0))?;
        bench.is_dead("a grant authorized before", &early, HOUR)?;
        bench.is_dead("a grant authorized before the clock jumped back", &late, HOUR)?;
        bench.revoke(&end(target, -HOUR))?;
        bench.is_dead("the same, after a second cutoff", &early, HOUR)?;
        bench.is_dead("the same, after a second cutoff", &late, HOUR)?;
    }
    Ok(())
}

/// A grant ends for good, alone, with the reason of the first revocation; pending or redeemed.
pub fn a_revoked_grant_ends_for_good_and_alone<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    for grant in [bench.pending(&cast)?, bench.family(&cast)?] {
        let bystander = bench.family(&cast)?;
        let first = end(RevocationTarget::Grant(grant.grant_id), -HOUR);
        bench.revoke(&Revocation { why: RevocationReason::Client, ..first.clone() })?;
        bench.is_dead("a revoked grant", &grant, 0)?;
        let row = bench.row(&grant)?;
        let why = row.revoked.map(|(_, why)| why);
        same("why it ended", why, Some(RevocationReason::Client))?;
        bench.revoke(&first)?;
        same("how it ended", bench.row(&grant)?, row)?;
        bench.is_dead("a grant that was revoked twice", &grant, 0)?;
        bench.is_alive("another grant of the same user and app", &bystander, 0)?;
    }
    Ok(())
}

/// A token whose grant has no row is void when its grant is revoked, and if the row is made
/// afterwards, by a decision or a claim, it gives nothing.
pub fn a_grant_without_a_row_leaves_a_tombstone<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let (decided, claimed, other) = (cast.grant()?, cast.impersonation()?, cast.impersonation()?);
    for grant in [&decided, &claimed] {
        let before = bench.is_revoked(&grant.facts())?;
        holds(!before, || "a token without a row is revoked before anybody revoked it")?;
        bench.revoke(&end(RevocationTarget::Grant(grant.grant_id), 0))?;
        bench.is_dead("a grant without a row", grant, 0)?;
        // However late the token was authorized.
        let late = AccessFacts { authorized_at: at(GRANT_LIFE - 1), ..grant.facts() };
        holds(bench.is_revoked(&late)?, || "a tombstone is compared with an instant")?;
    }
    let decided = bench.decide(decided)?;
    bench.claim(&bench.claim_of(claimed.clone())?)?;
    bench.is_dead("a decision on a tombstone", &decided, 0)?;
    bench.is_dead("a claim on a tombstone", &claimed, 0)?;
    let revoked = bench.is_revoked(&other.facts())?;
    holds(!revoked, || "another token without a row is revoked")
}

/// While an app is disabled nothing of it is honoured, and once it is enabled all of it is: that
/// is a state, not a revocation.
pub fn a_disabled_app_is_refused_until_it_is_enabled<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.cast()?, bench.cast()?);
    let (pending, family) = (bench.pending(&cast)?, bench.family(&cast)?);
    let bystander = bench.family(&other)?;
    bench.enable(&cast.client_id, false)?;
    for grant in [&pending, &family] {
        bench.is_dead("a grant of a disabled app", grant, 0)?;
    }
    let reused = bench.rotate(&Rotation { generation: 9, ..token(&family, 1, 0) })?;
    same("a generation ahead, of a disabled app", reused, REVOKED)?;
    bench.is_alive("a grant of another app", &bystander, 0)?;
    bench.enable(&cast.client_id, true)?;
    for grant in [&pending, &family] {
        bench.is_alive("a grant of the enabled app", grant, 0)?;
    }
    Ok(())
}

/// When an app is deleted nothing of it is honoured, nor of an app that never was.
pub fn a_deleted_app_is_refused<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let (pending, family) = (bench.pending(&cast)?, bench.family(&cast)?);
    let deleted = bench.delete(&cast.client_id)?;
    same("the deletion", deleted, DeleteApp::Deleted)?;
    for grant in [&pending, &family] {
        bench.is_dead("a grant of a deleted app", grant, 0)?;
    }
    let unknown = Cast {
        client_id: new_app()?.client_id().clone(),
        subject: cast.subject.clone(),
        device: cast.device.clone(),
        session: None,
        evidence_issuer: None,
    };
    let revoked = bench.is_revoked(&unknown.grant()?.facts())?;
    holds(revoked, || "a token of an app that never was is not revoked")
}

/// The predicate answers for tokens of client credentials and of assertions without a refresh
/// token, which have no row: by cutoffs, and by the state of their app.
pub fn a_token_without_a_row_obeys_cutoffs<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let itself = Subject::from(&cast.client_id);
    let claimed = || bench.instant(0);
    for target in
        [RevocationTarget::App(cast.client_id.clone()), RevocationTarget::Subject(itself.clone())]
    {
        let grant = Grant { subject: itself.clone(), ..cast.grant()? };
        let before = AccessFacts { authorized_at: claimed()?, ..grant.facts() };
        bench.revoke(&end(target, 0))?;
        let after = AccessFacts { authorized_at: claimed()?, ..before };
        holds(bench.is_revoked(&before)?, || "a token authorized before the cutoff is honoured")?;
        holds(!bench.is_revoked(&after)?, || "a token authorized after the cutoff is refused")?;
        bench.enable(&cast.client_id, false)?;
        holds(bench.is_revoked(&after)?, || "a token of a disabled app is honoured")?;
        bench.enable(&cast.client_id, true)?;
    }
    Ok(())
}

/// A derived token is void if anything that it descends from is: by a cutoff of any kind, by the end of
/// a grant with or without a row, by the state of an app. Another derived token is not.
pub fn a_derived_token_is_void_with_each_of_its_parents<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let (own, other) = (bench.cast()?, bench.cast()?);
    // Both ends of a grant, then each kind of cutoff, then the app.
    for index in 0..CUTOFFS + 3 {
        let cast = bench.attested_cast()?;
        let row = bench.decide(Grant { subject: own.subject.clone(), ..cast.grant()? })?;
        let rowless = Grant { subject: own.subject.clone(), ..cast.grant()? };
        let innocent = bench.family(&other)?;
        let parents = [&innocent, &row, &rowless]
            .map(|grant| Parent { authorized_at: row.authorized_at, ..grant.facts().to_parent() });
        let grant = own.grant()?;
        // Its own instant is later than every cutoff of this check.
        let late = row.authorized_at.plus(Duration::from_hours(24));
        let derived = AccessFacts { authorized_at: late, via: &parents, ..grant.facts() };
        let bystander = AccessFacts { via: parents.get(..1).unwrap_or_default(), ..derived };
        holds(!bench.is_revoked(&derived)?, || "a derived token is void before any parent is")?;
        let cast = Cast { subject: own.subject.clone(), ..cast };
        let target = match index {
            0 => Some(RevocationTarget::Grant(row.grant_id)),
            1 => Some(RevocationTarget::Grant(rowless.grant_id)),
            // Everything, and the user, cover the other one, too.
            _ => cast.cutoffs().get(index - 2).cloned(),
        };
        match &target {
            Some(target) => drop(bench.revoke(&end(target.clone(), 0))?),
            None => bench.enable(&cast.client_id, false)?,
        }
        let what = || format!("a derived token, after the end of {target:?} (None: the app)");
        holds(bench.is_revoked(&derived)?, || format!("{} is honoured", what()))?;
        let covers_all =
            matches!(target, Some(RevocationTarget::Everything | RevocationTarget::Subject(_)));
        holds(bench.is_revoked(&bystander)? == covers_all, || format!("{}: another", what()))?;
    }
    Ok(())
}

/// A derived token is void if the own access of an app that proved its actor is: by the end of that app's access to
/// itself. The end of the same app's access as the user does not matter.
pub fn a_derived_token_is_void_with_the_access_of_its_actor<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    for index in 0..4 {
        let (own, actor) = (bench.cast()?, bench.cast()?);
        let itself = Subject::from(&actor.client_id);
        let rowless = bench.dated(Grant { subject: itself.clone(), ..actor.grant()? })?;
        let parent = Parent { subject: Some(itself.clone()), ..rowless.facts().to_parent() };
        let grant = own.grant()?;
        let late = rowless.authorized_at.plus(Duration::from_hours(24));
        let via = std::slice::from_ref(&parent);
        let derived = AccessFacts { authorized_at: late, via, ..grant.facts() };
        let app = actor.client_id.clone();
        let (target, voids) = match index {
            0 => (RevocationTarget::Subject(itself), true),
            1 => (RevocationTarget::AppAndSubject(app, itself), true),
            2 => (RevocationTarget::Grant(rowless.grant_id), true),
            _ => (RevocationTarget::AppAndSubject(app, own.subject.clone()), false),
        };
        bench.revoke(&end(target.clone(), 0))?;
        let revoked = bench.is_revoked(&derived)?;
        same(&format!("void after the end of {target:?}"), revoked, voids)?;
    }
    Ok(())
}

/// [`live_among`](crate::store::GrantStore::live_among) judges each grant of a page as the predicate does: after
/// the end of a grant, after each kind of cutoff, while the app is disabled.
pub fn the_live_grants_of_a_page_are_told_at_once<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let other = bench.cast()?;
    same("of no grants", bench.live_among(&[])?, Vec::new())?;
    for index in 0..CUTOFFS + 2 {
        let cast = bench.attested_cast()?;
        let page = [bench.family(&other)?, bench.family(&cast)?, bench.pending(&cast)?];
        let [_, ended, _] = &page;
        let all = bench.live_among(&page)?.len();
        same("before the end", all, page.len())?;
        let target = match index {
            0 => Some(RevocationTarget::Grant(ended.grant_id)),
            _ => cast.cutoffs().get(index - 1).cloned(),
        };
        match &target {
            Some(target) => drop(bench.revoke(&end(target.clone(), 1))?),
            None => bench.enable(&cast.client_id, false)?,
        }
        let mut live = bench.live_among(&page)?;
        let mut expected = Vec::new();
        for grant in &page {
            if !bench.is_revoked(&grant.facts())? {
                expected.push(grant.grant_id);
            }
        }
        live.sort_unstable();
        expected.sort_unstable();
        same(&format!("after the end of {target:?} (None: the app)"), live, expected)?;
    }
    Ok(())
}
