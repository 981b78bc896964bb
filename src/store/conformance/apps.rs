//! Checks of [`AppRegistry`](crate::store::AppRegistry).

use std::collections::BTreeSet;

use super::bench::{at, holds, new_app, same};
use super::{Check, Kit, Runner, Violation};
use crate::app::{AppDraft, AppOrigin, CustomApp, Flow};
use crate::ids::ClientId;
use crate::store::{AppQuery, DeleteApp, InsertApp, Page, Store, UpdateApp};

/// An app is found as it was registered, in every part, and no other id is found.
pub fn an_app_is_found_as_it_was_registered<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (app, other) = (new_app()?, new_app()?);
    let inserted = bench.wait(bench.store.insert_app(app.clone()))?;
    same("a new app", inserted, InsertApp::Inserted)?;
    same("the app found", &*bench.app(app.client_id())?, &app)?;
    let unknown = bench.wait(bench.store.find_app(other.client_id()))?;
    holds(unknown.is_none(), || "an app is found that was never registered")
}

/// A client id that is taken stays with its app.
pub fn a_client_id_is_registered_once<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let app = new_app()?;
    let second = app.edited(at(1), |edit| *edit.enabled = false);
    same("the first", bench.wait(bench.store.insert_app(app.clone()))?, InsertApp::Inserted)?;
    same("the second", bench.wait(bench.store.insert_app(second))?, InsertApp::AlreadyExists)?;
    same("the app found", &*bench.app(app.client_id())?, &app)
}

/// An update replaces the app if the version is the stored one, and changes nothing otherwise.
pub fn an_update_needs_the_stored_version<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let update = |app, expected| bench.wait(bench.store.update_app(app, expected));
    let app = new_app()?;
    same("an unknown app", update(app.clone(), 1)?, UpdateApp::NotFound)?;
    bench.wait(bench.store.insert_app(app.clone()))?;
    let edited = app.edited(at(1), |edit| *edit.enabled = false);
    same("a version ahead", update(edited.clone(), 2)?, UpdateApp::Conflict)?;
    same("the app found", &*bench.app(app.client_id())?, &app)?;
    same("the stored version", update(edited.clone(), 1)?, UpdateApp::Updated)?;
    same("a version behind", update(app.clone(), 1)?, UpdateApp::Conflict)?;
    same("the app found", &*bench.app(app.client_id())?, &edited)
}

/// A deleted app is found no more, updated no more, deleted once.
pub fn a_deleted_app_is_gone<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let app = new_app()?;
    let delete = || bench.wait(bench.store.delete_app(app.client_id(), app.version()));
    bench.wait(bench.store.insert_app(app.clone()))?;
    same("the first deletion", delete()?, DeleteApp::Deleted)?;
    same("the second deletion", delete()?, DeleteApp::NotFound)?;
    let updated = bench.wait(bench.store.update_app(app.clone(), 1))?;
    same("an update of it", updated, UpdateApp::NotFound)?;
    let found = bench.wait(bench.store.find_app(app.client_id()))?;
    holds(found.is_none(), || "a deleted app is found")
}

/// N9: an app that is registered again has versions of its own. A change that was made for the deleted
/// app, from a stale cache for example, is a conflict and brings nothing of it back.
pub fn a_change_of_a_deleted_app_spares_its_successor<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let app = new_app()?;
    let id = app.client_id();
    let (settings, credentials) = (app.settings().clone(), app.credentials().clone());
    let at_version = |version, millis| {
        CustomApp::new(id.clone(), settings.clone(), credentials.clone(), version, at(millis))
    };
    let old = at_version(1_000, 0);
    bench.wait(bench.store.insert_app(old.clone()))?;
    let edited = old.edited(at(1), |edit| *edit.enabled = false);
    bench.wait(bench.store.update_app(edited.clone(), old.version()))?;
    same("the deletion", bench.delete(id)?, DeleteApp::Deleted)?;
    for version in [1 << 52, 1] {
        let new = at_version(version, 2);
        bench.wait(bench.store.insert_app(new.clone()))?;
        for stale in [&old, &edited] {
            let renewed = stale.edited(at(3), |_| ());
            let update = bench.store.update_app(renewed, stale.version());
            same("a change of the old app", bench.wait(update)?, UpdateApp::Conflict)?;
            let delete = bench.store.delete_app(id, stale.version());
            same("a deletion of the old app", bench.wait(delete)?, DeleteApp::Conflict)?;
        }
        same("the new app", &*bench.app(id)?, &new)?;
        same("its deletion", bench.delete(id)?, DeleteApp::Deleted)?;
    }
    Ok(())
}

/// Every change adds to the version of the apps, so that a cache learns of it.
pub fn every_change_of_an_app_is_counted<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let app = new_app()?;
    let version = || -> Check<u64> { Ok(bench.wait(bench.store.apps_version())?.version) };
    let grown = |what: &str, before: u64| {
        let after = version()?;
        holds(after > before, || format!("{what} took the version from {before} to {after}"))
    };
    let empty = version()?;
    bench.wait(bench.store.insert_app(app.clone()))?;
    grown("a registration", empty)?;
    let registered = version()?;
    bench.enable(app.client_id(), false)?;
    grown("an update", registered)?;
    let updated = version()?;
    bench.delete(app.client_id())?;
    grown("a deletion", updated)
}

/// The insertion, the updates and the deletion of an app that describes itself leave the version as it is: strangers
/// must not empty the caches. An update that makes another app of this kind counts, because caches have it as one of
/// the other kind.
pub fn changes_of_described_apps_are_not_counted<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let version = || -> Check<u64> { Ok(bench.wait(bench.store.apps_version())?.version) };
    let become_of = |id: &ClientId, origin| -> Check {
        let app = bench.app(id)?;
        let changed = app.edited(at(2), |edit| *edit.origin = origin);
        let updated = bench.wait(bench.store.update_app(changed.clone(), app.version()))?;
        same("an update", updated, UpdateApp::Updated)?;
        same("the app found", &*bench.app(id)?, &changed)
    };
    for origin in [AppOrigin::SelfRegistered, AppOrigin::Document] {
        let app = new_app()?.edited(at(1), |edit| *edit.origin = origin);
        let id = app.client_id();
        let before = version()?;
        let inserted = bench.wait(bench.store.insert_app(app.clone()))?;
        same("a new app", inserted, InsertApp::Inserted)?;
        same("the version after an insertion", version()?, before)?;
        same("the app found", &*bench.app(id)?, &app)?;
        bench.enable(id, false)?;
        same("the version after an update", version()?, before)?;
        same("the deletion", bench.delete(id)?, DeleteApp::Deleted)?;
        same("the version after a deletion", version()?, before)?;
        let found = bench.wait(bench.store.find_app(id))?;
        holds(found.is_none(), || "a deleted app is found")?;

        let app = new_app()?;
        let id = app.client_id();
        bench.wait(bench.store.insert_app(app.clone()))?;
        let before = version()?;
        become_of(id, origin)?;
        let after = version()?;
        holds(after > before, || "an app that comes to describe itself is not counted")?;
        become_of(id, AppOrigin::Registered)?;
        let adopted = version()?;
        bench.enable(id, false)?;
        holds(version()? > adopted, || "an update of an app that was adopted is not counted")?;
    }
    Ok(())
}

/// Apps that registered themselves are counted, up to a number: no others, none twice, and none that is gone.
pub fn self_registered_apps_are_counted<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let count = |most| bench.wait(bench.store.count_self_registered_apps(most));
    // Other checks may have left some.
    let before = count(usize::MAX)?;
    let mut own = Vec::new();
    for origin in [
        AppOrigin::SelfRegistered,
        AppOrigin::Document,
        AppOrigin::SelfRegistered,
        AppOrigin::Registered,
        AppOrigin::Declared,
        AppOrigin::SelfRegistered,
    ] {
        let app = new_app()?.edited(at(1), |edit| *edit.origin = origin);
        bench.wait(bench.store.insert_app(app.clone()))?;
        if origin == AppOrigin::SelfRegistered {
            own.push(app.client_id().clone());
        }
    }
    let counted = |what: &str, apps: usize| {
        same(what, count(usize::MAX)?, before.saturating_add(apps))?;
        same("a number that is reached", count(before.saturating_add(apps))?, before + apps)?;
        same("no more than asked", count(1)?, 1)
    };
    counted("the apps", 3)?;
    same("none of none", count(0)?, 0)?;
    let [adopted, disabled, deleted] = &own[..] else { return Ok(()) };
    bench.enable(disabled, false)?;
    counted("one is disabled", 3)?;
    bench.delete(deleted)?;
    counted("one is deleted", 2)?;
    let app = bench.app(adopted)?;
    let registered = app.edited(at(2), |edit| *edit.origin = AppOrigin::Registered);
    bench.wait(bench.store.update_app(registered, app.version()))?;
    counted("one is adopted", 1)
}

/// A listing shows every app that the query selects once, in order, in pages no larger than asked.
pub fn apps_are_listed_in_the_order_of_their_ids<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let mut all = BTreeSet::new();
    for _ in 0..5 {
        all.insert(bench.cast()?.client_id);
    }
    let Some(disabled) = all.first().cloned() else { return Ok(()) };
    bench.enable(&disabled, false)?;
    let list = |query: &AppQuery, limit: usize| -> Check<Vec<ClientId>> {
        let mut ids = Vec::new();
        let mut page = Page::first(limit);
        for _ in 0..=all.len() {
            let listing = bench.wait(bench.store.list_apps(query, page.clone()))?;
            holds(listing.items.len() <= limit, || "a page is larger than asked")?;
            ids.extend(listing.items.iter().map(|app| app.client_id().clone()));
            match listing.next {
                Some(next) => page = page.after(next),
                None => return Ok(ids),
            }
        }
        Ok(ids)
    };
    let every: Vec<_> = all.iter().cloned().collect();
    let others: Vec<_> = all.iter().filter(|id| **id != disabled).cloned().collect();
    same("by two", list(&AppQuery::all(), 2)?, every.clone())?;
    same("in one page", list(&AppQuery::all(), 5)?, every.clone())?;
    same("by a word of the description", list(&AppQuery::all().containing("RACED"), 2)?, every)?;
    same("by a word of none", list(&AppQuery::all().containing("nobody"), 2)?, Vec::new())?;
    same("the enabled ones", list(&AppQuery::all().enabled(true), 2)?, others.clone())?;
    same("the disabled one", list(&AppQuery::all().enabled(false), 2)?, vec![disabled.clone()])?;
    let app = bench.app(&disabled)?;
    let declared = app.edited(at(2), |edit| *edit.origin = AppOrigin::Declared);
    bench.wait(bench.store.update_app(declared, app.version()))?;
    same("the declared one", list(&AppQuery::all().declared(true), 2)?, vec![disabled.clone()])?;
    same("the registered ones", list(&AppQuery::all().declared(false), 2)?, others)?;
    let renamed = AppDraft::confidential("ΟΔΟΣ").flow(Flow::DeviceCode);
    let renamed = renamed.build().map_err(|error| Violation::new(error.to_string()))?;
    let app = bench.app(&disabled)?;
    let renamed = app.edited(at(3), |edit| *edit.settings = renamed);
    bench.wait(bench.store.update_app(renamed, app.version()))?;
    let query = AppQuery::all().containing("οδος").declared(true).enabled(false);
    same("by its new name", list(&query, 2)?, vec![disabled.clone()])?;
    same("by a new flow", list(&AppQuery::all().with_flow(Flow::DeviceCode), 2)?, vec![disabled])?;
    let query = AppQuery::all().containing("raced").declared(true);
    same("by its old name", list(&query, 2)?, Vec::new())?;
    same("by U+0000", list(&AppQuery::all().containing("a\0"), 2)?, Vec::new())
}
