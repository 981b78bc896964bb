//! Checks of two issuers that share a database: neither finds, lists, claims nor ends anything of the
//! other. They run if the kit has a [second view](super::Kit::with_second_issuer).

use super::bench::{Bench, Cast, at, claim, code, end, holds, new_app, same, token};
use super::{Check, Kit, Runner, Violation};
use crate::app::AppOrigin;
use crate::protocol::scope::Scope;
use crate::store::{
    AppQuery, Consent, DeleteApp, FeedCursor, Grant, GrantFilter, GrantRefusal, InsertApp, Page,
    RedeemCode, RevocationTarget, Rotate, Store,
};

/// Runs `check` with a view of each issuer and a cast that both know by the same names.
pub(super) fn with_both<S: Store, R: Runner>(
    kit: &Kit<S, R>,
    check: impl Fn(&Bench<'_, S, R>, &Bench<'_, S, R>, &Cast) -> Check,
) -> Check {
    let one = kit.bench();
    let Some(other) = kit.second_bench(&one) else {
        return Err(Violation::new("the kit has no view of a second issuer"));
    };
    for (here, there) in [(&one, &other), (&other, &one)] {
        let cast = here.attested_cast()?;
        let app = here.app(&cast.client_id)?;
        let found = there.wait(there.store.find_app(&cast.client_id))?;
        same("the app of another issuer", found, None)?;
        let inserted = there.wait(there.store.insert_app((*app).clone()))?;
        same("an app of the same name", inserted, InsertApp::Inserted)?;
        check(here, there, &cast)?;
    }
    Ok(())
}

/// Apps of the same client id are two apps.
pub fn issuers_share_no_apps<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    with_both(kit, |here, there, cast| {
        let list = |bench: &Bench<'_, S, R>| -> Check<Vec<_>> {
            let query = AppQuery::all();
            let apps = bench.wait(bench.store.list_apps(&query, Page::first(200)))?.items;
            Ok(apps.into_iter().map(|app| app.client_id().clone()).collect())
        };
        let ids = list(there)?;
        let listed = ids.iter().filter(|id| **id == cast.client_id).count();
        same("how often an issuer lists its app", listed, 1)?;
        here.cast()?;
        same("the apps after another issuer has a new one", list(there)?, ids)?;
        let count = |bench: &Bench<'_, S, R>| {
            bench.wait(bench.store.count_self_registered_apps(usize::MAX))
        };
        let before = (count(here)?, count(there)?);
        let stranger = new_app()?.edited(at(1), |edit| *edit.origin = AppOrigin::SelfRegistered);
        here.wait(here.store.insert_app(stranger))?;
        let counted = (count(here)?, count(there)?);
        same("the apps that registered themselves", counted, (before.0 + 1, before.1))?;
        here.enable(&cast.client_id, false)?;
        let app = there.app(&cast.client_id)?;
        holds(app.is_enabled(), || "an issuer disables the app of another")?;
        lives(there, cast)?;
        let deleted = here.delete(&cast.client_id)?;
        same("the deletion", deleted, DeleteApp::Deleted)?;
        lives(there, cast)
    })
}

fn lives<S: Store, R: Runner>(bench: &Bench<'_, S, R>, cast: &Cast) -> Check {
    bench.is_alive("a grant of the other issuer's app", &bench.family(cast)?, 0)
}

/// A grant is found, listed, redeemed, rotated and ended by its own issuer only.
pub fn issuers_share_no_grants<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    with_both(kit, |here, there, cast| {
        let (pending, family) = (here.pending(cast)?, here.family(cast)?);
        let own = there.family(cast)?;
        for grant in [&pending, &family] {
            same("the grant of another issuer", there.find(grant)?, None)?;
            there.revoke(&end(RevocationTarget::Grant(grant.grant_id), 0))?;
        }
        let unknown = RedeemCode::Refused(GrantRefusal::Unknown);
        same("its code", there.redeem(&code(&pending, 0))?, unknown)?;
        let unknown = Rotate::Refused(GrantRefusal::Unknown);
        same("its refresh token", there.rotate(&token(&family, 1, 0))?, unknown)?;
        let filters = [
            GrantFilter::all(),
            GrantFilter::all().of_app(cast.client_id.clone()),
            GrantFilter::all().of_subject(cast.subject.clone()),
            GrantFilter::all().on_device(cast.device.clone()),
            cast.session
                .clone()
                .map_or_else(GrantFilter::all, |it| GrantFilter::all().of_session(it)),
        ];
        for filter in filters {
            let list = there.store.list_grants(&filter, Page::first(200));
            let listed = there.wait(list)?.items;
            let ids: Vec<_> = listed.iter().map(|grant| grant.grant_id).collect();
            holds(ids.contains(&own.grant_id), || "an issuer does not list its own grant")?;
            let foreign = [&pending, &family].iter().any(|grant| ids.contains(&grant.grant_id));
            holds(!foreign, || "an issuer lists the grant of another")?;
        }
        here.is_alive("a code that another issuer tried to end", &pending, 0)?;
        here.is_alive("a family that another issuer tried to end", &family, 0)
    })
}

/// A revocation of any kind ends the access of its own issuer only, although all names are the same, and
/// is in the feed of that issuer only.
pub fn a_revocation_reaches_one_issuer_only<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    with_both(kit, |here, there, cast| {
        for target in cast.cutoffs() {
            let (covered, spared) = (here.family(cast)?, there.family(cast)?);
            let rowless = Grant { authorized_at: spared.authorized_at, ..cast.grant()? };
            let entries = || -> Check<Vec<RevocationTarget>> {
                let (entries, _) = there.read_feed(FeedCursor::default(), 3, 0)?;
                Ok(entries.into_iter().map(|entry| entry.target).collect())
            };
            let before = entries()?;
            here.revoke(&end(target.clone(), 0))?;
            here.is_dead("a grant of the issuer", &covered, 0)?;
            there.is_alive("a grant of another issuer", &spared, 0)?;
            let revoked = there.is_revoked(&rowless.facts())?;
            holds(!revoked, || format!("{target:?} of another issuer voids a token"))?;
            same("the feed of another issuer", entries()?, before)?;
            let (own, _) = here.read_feed(FeedCursor::default(), 3, 0)?;
            let told = own.iter().any(|entry| entry.target == target);
            holds(told, || format!("{target:?} is not in the feed of its issuer"))?;
        }
        Ok(())
    })
}

/// The same assertion of the same app is claimed once at each issuer.
pub fn issuers_share_no_assertions<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    with_both(kit, |here, there, cast| {
        let assertion = claim(&cast.client_id)?;
        here.first("at one issuer", &assertion)?;
        there.first("at the other issuer", &assertion)?;
        let with_grant = there.claim_of(cast.impersonation()?)?;
        there.first("with a grant", &with_grant)?;
        let Some(grant) = &with_grant.grant else { return Ok(()) };
        same("the grant of another issuer", here.find(grant)?, None)
    })
}

/// A consent is remembered, and withdrawn, at one issuer.
pub fn issuers_share_no_consents<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    with_both(kit, |here, there, cast| {
        let (client_id, subject) = (&cast.client_id, &cast.subject);
        let find = |bench: &Bench<'_, S, R>| -> Check<Option<Scope>> {
            let found = bench.wait(bench.store.find_consent(client_id, subject))?;
            Ok(found.map(|consent| consent.scope))
        };
        for (bench, scope) in [(here, "here"), (there, "there")] {
            same("before the consent", find(bench)?, None)?;
            let scope = Scope::parse(scope).map_err(|error| Violation::new(error.to_string()))?;
            let given_at = bench.pending(cast)?.authorized_at;
            let (client_id, subject) = (client_id.clone(), subject.clone());
            let consent = Consent { client_id, subject, scope, resource: None, given_at };
            bench.wait(bench.store.remember_consent(consent))?;
        }
        let family = there.family(cast)?;
        let until = end(RevocationTarget::Everything, 0).until;
        here.wait(here.store.withdraw_consent(client_id, subject, at(0), until))?;
        same("after the withdrawal", find(here)?, None)?;
        let kept = find(there)?.map(|scope| scope.as_str().to_owned());
        same("the consent at another issuer", kept, Some("there".to_owned()))?;
        there.is_alive("a grant of another issuer", &family, 0)
    })
}
