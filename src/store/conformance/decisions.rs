//! Checks of [`insert_grant`](crate::store::GrantStore::insert_grant) and of the methods that find a grant.

use std::time::Duration;

use super::bench::{
    CUTOFFS, Cast, GRANT_LIFE, HOUR, at, code, end, holds, new_app, random_digest, same,
};
use super::{Check, Kit, Runner, Violation};
use crate::app::Flow;
use crate::ids::{
    AuthenticationContext, AuthenticationMethod, ClientId, EvidenceIssuer, GrantId, SessionId,
    Subject,
};
use crate::jwt::{Circumstances, PriorActor};
use crate::protocol::confirmation::Confirmation;
use crate::protocol::scope::Scope;
use crate::store::{
    Grant, GrantFilter, GrantRefusal, InsertGrant, Page, RedeemCode, RevocationReason,
    RevocationTarget, Store,
};

/// A decision is found in every part, with the instant that the store answered.
pub fn a_grant_is_found_as_it_was_decided<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let invalid = |error: crate::ids::InvalidId| Violation::new(error.to_string());
    let plain = Grant { device: None, auth_time: None, ..cast.grant()? };
    let full = Grant {
        actor: Some(ClientId::new("the actor").map_err(invalid)?),
        scope: Scope::parse("files.read GET/users/*")
            .map_err(|error| Violation::new(error.to_string()))?,
        resources: Some(
            "https://api.example.com/v1 https://files.example.com".parse().map_err(invalid)?,
        ),
        generation: 1,
        rotated_at: at(1),
        claim: u64::MAX,
        retries: 3,
        mismatches: 4,
        revoked: Some((at(2), RevocationReason::Denied)),
        ..cast.grant()?
    };
    let mut grants = vec![plain, full];
    let flows =
        [Flow::AuthorizationCode, Flow::JwtBearer, Flow::ClientCredentials, Flow::DeviceCode];
    for flow in flows.map(Some).into_iter().chain([None]) {
        let actor = Some(ClientId::new("the actor").map_err(invalid)?);
        grants.push(Grant { flow, ..cast.grant()? });
        grants.push(Grant { flow, actor, ..cast.grant()? });
    }
    let thumbprint = random_digest()?;
    for confirmation in [Confirmation::Key(thumbprint), Confirmation::Certificate(thumbprint)] {
        let confirmation = Some(confirmation);
        grants.push(Grant { confirmation, ..cast.grant()? });
        grants.push(Grant { confirmation, bound_from: u32::MAX, generation: 9, ..cast.grant()? });
    }
    for circumstances in some_circumstances()? {
        let circumstances = Some(Box::new(circumstances));
        grants.push(Grant { circumstances, ..cast.grant()? });
    }
    for grant in grants {
        same("before it was decided", bench.find(&grant)?, None)?;
        let decided = bench.decide(grant)?;
        same("the grant found", bench.find(&decided)?, Some(decided))?;
    }
    Ok(())
}

/// Returns circumstances with one member each, and with all of them at their greatest.
fn some_circumstances() -> Check<Vec<Circumstances>> {
    let invalid = |error: crate::ids::InvalidId| Violation::new(error.to_string());
    let actor = |name: &str, issuer: Option<&str>| -> Check<PriorActor> {
        let subject = Subject::new(name).map_err(invalid)?;
        let issuer = issuer.map(EvidenceIssuer::new).transpose().map_err(invalid)?;
        Ok(PriorActor { subject, issuer })
    };
    let method = |name: String| AuthenticationMethod::new(name).map_err(invalid);
    let details = r#"[{"type":"pay\u00e9\n\"","amount":"1.50","nested":{"a":[1,null]}}]"#;
    let details = details.parse().map_err(|_| Violation::new("details that do not parse"))?;
    let full = Circumstances {
        prior_actors: vec![
            actor("one's \"actor\" \u{e9}", Some("https://idp.example/\u{e9}?a='b'"))?,
            actor("two", None)?,
            actor(&"x".repeat(Subject::MAX_BYTES), None)?,
        ],
        acr: Some(AuthenticationContext::new("urn:example:loa:'3'").map_err(invalid)?),
        amr: (0..8).map(|n| method(format!("method {n}"))).collect::<Check<_>>()?,
        session: Some(SessionId::new("s\u{e9}ssion '\"\\ {}$").map_err(invalid)?),
        evidence_issuer: Some(EvidenceIssuer::new("https://idp.example/'\"").map_err(invalid)?),
        authorization_details: Some(details),
    };
    let Circumstances { prior_actors, acr, amr, session, evidence_issuer, authorization_details } =
        full.clone();
    let none = Circumstances::default;
    Ok(vec![
        full,
        Circumstances { prior_actors, ..none() },
        Circumstances { acr, ..none() },
        Circumstances { amr, ..none() },
        Circumstances { session, ..none() },
        Circumstances { evidence_issuer, ..none() },
        Circumstances { authorization_details, ..none() },
    ])
}

/// A34: a ticket that comes back twice is decided once; the second decision changes nothing.
pub fn a_decision_is_made_once<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.pending(&bench.cast()?)?;
    let mut denied = grant.clone();
    denied.revoke(RevocationReason::Denied, at(1));
    for again in [grant.clone(), denied] {
        let answer = bench.wait(bench.store.insert_grant(again))?;
        same("a second decision", answer, InsertGrant::AlreadyDecided)?;
    }
    same("the row", bench.row(&grant)?, grant.clone())?;
    bench.redeem(&code(&grant, 0))?;
    let answer = bench.wait(bench.store.insert_grant(grant))?;
    same("a decision on a redeemed code", answer, InsertGrant::AlreadyDecided)
}

/// A35: a decision for an app that is disabled or unknown leaves no row that enabling the app could revive.
pub fn a_decision_for_an_inactive_app_is_not_stored<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let grant = cast.grant()?;
    let insert = |grant: &Grant| bench.wait(bench.store.insert_grant(grant.clone()));
    bench.enable(&cast.client_id, false)?;
    same("for a disabled app", insert(&grant)?, InsertGrant::AppInactive)?;
    same("its row", bench.find(&grant)?, None)?;
    bench.enable(&cast.client_id, true)?;
    same("its row when the app is enabled", bench.find(&grant)?, None)?;
    bench.is_alive("what is decided then", &bench.decide(grant)?, 0)?;

    let unknown = Grant { client_id: new_app()?.client_id().clone(), ..cast.grant()? };
    same("for an unknown app", insert(&unknown)?, InsertGrant::AppInactive)?;
    same("the row of an unknown app", bench.find(&unknown)?, None)
}

/// A27: a denied request is a row, so that it cannot be approved later, and gives nothing.
pub fn a_denied_request_gives_nothing<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let mut grant = bench.cast()?.grant()?;
    grant.revoke(RevocationReason::Denied, at(0));
    let grant = bench.decide(grant)?;
    let answer = bench.redeem(&code(&grant, 0))?;
    same("its code", answer, RedeemCode::Refused(GrantRefusal::Revoked))?;
    bench.is_dead("a denied request", &grant, 0)
}

/// The store's instants come from one clock that never runs backwards, also if the host's clock jumps: each
/// is later than every revocation that was answered, and not after any that is called later.
pub fn instants_of_the_store_never_run_backwards<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let mut latest = bench.instant(0)?;
    for millis in [0, HOUR, 0, HOUR + 1, -HOUR] {
        let present = bench.instant(millis)?;
        holds(present >= latest, || "the store's clock ran backwards")?;
        let revoked = bench.revoke(&end(RevocationTarget::Everything, millis))?;
        holds(revoked >= present, || "a revocation is before an instant that was answered")?;
        latest = bench.instant(millis)?;
        holds(latest > revoked, || "an instant is not after a revocation that was answered")?;
        let reached = bench.store.reached(at(millis));
        holds(reached <= at(millis), || "an instant is reached after the one that was asked for")?;
        let revoked = bench.revoke(&end(RevocationTarget::Everything, millis))?;
        holds(revoked >= reached, || "a revocation is before an instant that was reached")?;
    }
    Ok(())
}

/// A process knows of its own cutoffs at once: what it dates by [`seen`](crate::store::GrantStore::seen)
/// lives, and a later revocation covers it.
pub fn a_process_knows_its_own_revocations<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.attested_cast()?;
    let Cast { client_id, subject, .. } = &cast;
    let until = end(RevocationTarget::Everything, 0).until;
    let withdraw = || bench.wait(bench.store.withdraw_consent(client_id, subject, at(0), until));
    let targets = cast.cutoffs();
    for target in targets.iter().map(Some).chain([None]) {
        let revoke = || match target {
            Some(target) => bench.revoke(&end(target.clone(), 0)),
            None => withdraw().map(|revoked| revoked.at),
        };
        let revoked = revoke()?;
        let seen = bench.store.seen();
        let what = || format!("{target:?} (None: a withdrawal)");
        holds(seen > revoked, || format!("the process has not seen its own {}", what()))?;
        let grant = Grant { authorized_at: seen, ..cast.grant()? };
        match bench.wait(bench.store.insert_grant(grant.clone()))? {
            InsertGrant::Inserted { .. } => bench.is_alive(&what(), &grant, 0)?,
            other @ (InsertGrant::AlreadyDecided
            | InsertGrant::Revoked
            | InsertGrant::AppInactive) => {
                return Err(Violation::new(format!("{other:?} after {}", what())));
            }
        }
        revoke()?;
        bench.is_dead(&what(), &grant, 0)?;
    }
    Ok(())
}

/// A decision is dated before the checks behind it, and not by the moment at which it is stored. The store's
/// clock bounds the date.
pub fn a_decision_is_dated_before_its_checks<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let insert = |grant: &Grant| match bench.wait(bench.store.insert_grant(grant.clone()))? {
        InsertGrant::Inserted { authorized_at } => Ok(authorized_at),
        other @ (InsertGrant::AlreadyDecided | InsertGrant::Revoked | InsertGrant::AppInactive) => {
            Err(Violation::new(format!("{other:?} for a decision")))
        }
    };
    let grant = bench.dated(cast.grant()?)?;
    // The clock goes on while the user decides.
    bench.instant(HOUR)?;
    same("the date of a decision", insert(&grant)?, grant.authorized_at)?;
    same("the date in its row", bench.row(&grant)?.authorized_at, grant.authorized_at)?;

    let mut ahead = bench.dated(cast.grant()?)?;
    ahead.authorized_at = ahead.authorized_at.plus(Duration::from_hours(1));
    let dated = insert(&ahead)?;
    same("the date in the row", bench.row(&ahead)?.authorized_at, dated)?;
    let present = bench.instant(HOUR)?;
    holds(dated <= present, || "a decision is dated after the store's present instant")?;
    bench.revoke(&end(RevocationTarget::Everything, 0))?;
    let ahead = Grant { authorized_at: dated, ..ahead };
    bench.is_dead("a decision of a host whose clock is ahead", &ahead, 0)
}

/// R20: a revocation that is answered between the checks behind a decision and its row covers the grant. The
/// decision is refused, and may be made again. A denial is stored all the same.
pub fn a_decision_that_a_revocation_overtakes_is_refused<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let other = bench.cast()?;
    let insert = |grant: &Grant| bench.wait(bench.store.insert_grant(grant.clone()));
    for index in 0..CUTOFFS {
        let cast = bench.attested_cast()?;
        let grant = bench.dated(cast.grant()?)?;
        let (bystander, mut denied) = (bench.dated(other.grant()?)?, bench.dated(cast.grant()?)?);
        let decided = bench.decide(cast.grant()?)?;
        denied.revoke(RevocationReason::Denied, at(0));
        let Some(target) = cast.cutoffs().into_iter().nth(index) else { continue };
        bench.revoke(&end(target.clone(), 0))?;
        let what = |case: &str| format!("{case}, after {target:?}");
        same(&what("a decision"), insert(&grant)?, InsertGrant::Revoked)?;
        same(&what("its row"), bench.find(&grant)?, None)?;
        same(&what("one made before"), insert(&decided)?, InsertGrant::AlreadyDecided)?;
        bench.is_alive(&what("the decision, made again"), &bench.decide(grant)?, 0)?;
        let stored = matches!(insert(&denied)?, InsertGrant::Inserted { .. });
        holds(stored, || what("a denial is not stored"))?;
        if target != RevocationTarget::Everything {
            let stored = matches!(insert(&bystander)?, InsertGrant::Inserted { .. });
            holds(stored, || what("a decision of others is refused"))?;
        }
    }
    Ok(())
}

/// A listing shows every grant that the filter selects once, in order, in pages no larger than asked.
pub fn grants_are_listed_in_the_order_of_their_ids<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.attested_cast()?, bench.cast()?);
    let mut grants = vec![bench.pending(&other)?, bench.family(&other)?];
    for _ in 0..4 {
        grants.push(bench.family(&cast)?);
    }
    let Some(ended) = grants.last().cloned() else { return Ok(()) };
    bench.revoke(&end(RevocationTarget::Grant(ended.grant_id), 0))?;
    let list = |filter: &GrantFilter| -> Check<Vec<GrantId>> {
        let mut found = Vec::new();
        let mut page = Page::first(2);
        for _ in 0..=grants.len() {
            let listing = bench.wait(bench.store.list_grants(filter, page.clone()))?;
            holds(listing.items.len() <= 2, || "a page is larger than asked")?;
            for grant in &listing.items {
                same("a grant in the list", grant, &bench.row(grant)?)?;
            }
            found.extend(listing.items.iter().map(|grant| grant.grant_id));
            match listing.next {
                Some(next) => page = page.after(next),
                None => return Ok(found),
            }
        }
        Ok(found)
    };
    let expected = |wanted: &dyn Fn(&Grant) -> bool| {
        let ids = grants.iter().filter(|grant| wanted(grant)).map(|grant| grant.grant_id);
        let mut ids: Vec<_> = ids.collect();
        ids.sort();
        ids
    };
    let all = GrantFilter::all();
    same("all", list(&all)?, expected(&|_| true))?;
    let of_app = all.clone().of_app(cast.client_id.clone());
    same("those of an app", list(&of_app)?, expected(&|it| it.client_id == cast.client_id))?;
    let of_user = all.clone().of_subject(other.subject.clone());
    same("those of a user", list(&of_user)?, expected(&|it| it.subject == other.subject))?;
    let by_device = all.clone().on_device(cast.device.clone());
    let there = expected(&|it| it.device.as_ref() == Some(&cast.device));
    same("those on a device", list(&by_device)?, there)?;
    let session = cast.session.clone().ok_or_else(|| Violation::new("no session"))?;
    let of_session = all.clone().of_session(session.clone());
    let there = expected(&|it| it.session() == cast.session.as_ref());
    same("those of a session", list(&of_session)?, there)?;
    let nowhere = all.clone().of_session(session).of_app(other.client_id.clone());
    same("those of a session and another app", list(&nowhere)?, Vec::new())?;
    let live = all.clone().live_at(at(0));
    same("live ones", list(&live)?, expected(&|it| it.grant_id != ended.grant_id))?;
    let late = all.live_at(at(GRANT_LIFE));
    same("live ones when all have expired", list(&late)?, Vec::new())
}
