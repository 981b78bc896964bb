//! Checks of [`redeem_code`](crate::store::GrantStore::redeem_code), one caller at a time.

use super::bench::{CODE_LIFE, GRANT_LIFE, at, code, end, key, new_app, random_digest, same};
use super::{Check, Kit, Runner, Violation};
use crate::ids::{DeviceId, GrantId};
use crate::protocol::confirmation::Confirmation;
use crate::store::{
    CodeRedemption, Grant, GrantRefusal, MAX_MISMATCHES, RedeemCode, RevocationReason,
    RevocationTarget, Store,
};

const EXPIRED: RedeemCode = RedeemCode::Refused(GrantRefusal::Expired);
const REVOKED: RedeemCode = RedeemCode::Refused(GrantRefusal::Revoked);
const UNKNOWN: RedeemCode = RedeemCode::Refused(GrantRefusal::Unknown);

/// Redemption makes generation 1, with the instant and the claim of the request that made it.
pub fn a_redeemed_code_is_a_live_refresh_token<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.pending(&bench.cast()?)?;
    let redemption = CodeRedemption { claim: 42, ..code(&grant, 5) };
    same("a fresh code", bench.redeem(&redemption)?, RedeemCode::Redeemed)?;
    let expected = Grant { generation: 1, rotated_at: at(5), claim: 42, ..grant };
    same("the row", bench.row(&expected)?, expected.clone())?;
    bench.is_alive("its family", &expected, 5)
}

/// G8, G9, G10: a code presented again ends its grant, and every replay is noticed as one.
pub fn a_replayed_code_ends_its_grant<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    bench.is_alive("before the replay", &grant, 1)?;
    for replay in 2..5 {
        // Also when the code would have expired by now.
        let redemption = code(&grant, replay * CODE_LIFE);
        same("a replay", bench.redeem(&redemption)?, RedeemCode::AlreadyRedeemed)?;
        bench.is_dead("after a replay", &grant, replay * CODE_LIFE)?;
    }
    let why = bench.row(&grant)?.revoked.map(|(_, why)| why);
    same("the reason", why, Some(RevocationReason::CodeReplayed))
}

/// G4, G5, G11, P11: a code presented by another app, with a wrong salt or a guessed id is unknown, before
/// and after redemption, and so is a spent code with wrong bindings. The owner's grant is unaffected.
pub fn a_stranger_cannot_use_or_end_a_code<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.cast()?, bench.cast()?);
    let grant = bench.pending(&cast)?;
    let good = code(&grant, 0);
    let strangers = || -> Check<[CodeRedemption; 4]> {
        Ok([
            CodeRedemption { client_id: other.client_id.clone(), ..good.clone() },
            CodeRedemption { client_id: new_app()?.client_id().clone(), ..good.clone() },
            CodeRedemption { salt_digest: random_digest()?, ..good.clone() },
            CodeRedemption { grant_id: GrantId::from_bytes([0; 16]), ..good.clone() },
        ])
    };
    for stranger in strangers()? {
        same("a stranger with a code", bench.redeem(&stranger)?, UNKNOWN)?;
    }
    same("the row", bench.row(&grant)?, grant.clone())?;
    same("the owner", bench.redeem(&good)?, RedeemCode::Redeemed)?;
    let redeemed = bench.row(&grant)?;
    for stranger in strangers()? {
        same("a stranger with a spent code", bench.redeem(&stranger)?, UNKNOWN)?;
    }
    let unbound = CodeRedemption { binding: random_digest()?, ..good };
    same("a spent code with wrong bindings", bench.redeem(&unbound)?, UNKNOWN)?;
    same("the row", bench.row(&grant)?, redeemed)?;
    bench.is_alive("the owner's family", &grant, 0)
}

/// P11: wrong bindings are counted and burn nothing.
pub fn wrong_bindings_do_not_burn_the_code<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.pending(&bench.cast()?)?;
    for mismatches in 1..MAX_MISMATCHES {
        let wrong = CodeRedemption { binding: random_digest()?, ..code(&grant, 0) };
        same("wrong bindings", bench.redeem(&wrong)?, RedeemCode::Mismatch)?;
        same("the row", bench.row(&grant)?, Grant { mismatches, ..grant.clone() })?;
    }
    same("right bindings", bench.redeem(&code(&grant, 0))?, RedeemCode::Redeemed)?;
    bench.is_alive("its family", &grant, 0)
}

/// P11: too many wrong bindings void the code, for the owner too.
pub fn after_too_many_wrong_bindings_the_code_is_void<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let grant = bench.pending(&bench.cast()?)?;
    for _ in 0..MAX_MISMATCHES {
        let wrong = CodeRedemption { binding: random_digest()?, ..code(&grant, 0) };
        same("wrong bindings", bench.redeem(&wrong)?, RedeemCode::Mismatch)?;
    }
    same("right bindings", bench.redeem(&code(&grant, 0))?, REVOKED)?;
    bench.is_dead("a guessed code", &grant, 0)
}

/// A code whose authorization request named a key is redeemed with that key only, and another one burns
/// nothing.
pub fn a_code_that_names_its_key_needs_it<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let thumbprint = random_digest()?;
    let own = Some(Confirmation::Key(thumbprint));
    for binds in [true, false] {
        let grant = bench.decide(Grant { confirmation: own, ..cast.grant()? })?;
        let others = [None, Some(Confirmation::Certificate(thumbprint)), Some(key()?)];
        for (mismatches, confirmation) in (1..).zip(others) {
            let wrong = CodeRedemption { confirmation, binds, ..code(&grant, 0) };
            same("another key", bench.redeem(&wrong)?, RedeemCode::Mismatch)?;
            same("the row", bench.row(&grant)?, Grant { mismatches, ..grant.clone() })?;
        }
        let right = CodeRedemption { binds, ..code(&grant, 0) };
        same("its key", bench.redeem(&right)?, RedeemCode::Redeemed)?;
        let confirmation = own.filter(|_| binds);
        same("the key of the row", bench.row(&grant)?.confirmation, confirmation)?;
        bench.is_alive("its family", &grant, 0)?;
    }
    Ok(())
}

/// The redemption writes the key of a public app into the row, in the same step. A replay ends the grant
/// with any key.
pub fn a_redemption_binds_the_grant_of_a_public_app<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let confirmation = Some(key()?);
    let free = bench.pending(&cast)?;
    let unbinding = CodeRedemption { confirmation, binds: false, ..code(&free, 0) };
    same("a confidential app", bench.redeem(&unbinding)?, RedeemCode::Redeemed)?;
    same("the key of its row", bench.row(&free)?.confirmation, None)?;
    let grant = bench.pending(&cast)?;
    let binding = CodeRedemption { confirmation, ..code(&grant, 0) };
    same("a public app", bench.redeem(&binding)?, RedeemCode::Redeemed)?;
    let expected = Grant { confirmation, generation: 1, rotated_at: at(0), claim: 1, ..grant };
    same("its row", bench.row(&expected)?, expected.clone())?;
    bench.is_alive("its family", &expected, 0)?;
    let replay = CodeRedemption { confirmation: Some(key()?), ..binding };
    same("a replay by a stranger", bench.redeem(&replay)?, RedeemCode::AlreadyRedeemed)?;
    bench.is_dead("after the replay", &expected, 0)
}

/// G3: a code expires at its instant, not a millisecond earlier, and wrong bindings find no more
/// than right ones do.
pub fn a_code_expires_at_its_instant<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let grant = bench.pending(&cast)?;
    for late in [CODE_LIFE, CODE_LIFE + 1, GRANT_LIFE - 1] {
        same("an expired code", bench.redeem(&code(&grant, late))?, EXPIRED)?;
        let wrong = CodeRedemption { binding: random_digest()?, ..code(&grant, late) };
        same("an expired code with wrong bindings", bench.redeem(&wrong)?, EXPIRED)?;
    }
    same("the row", bench.row(&grant)?, grant.clone())?;
    let timely = code(&grant, CODE_LIFE - 1);
    same("a code in its last millisecond", bench.redeem(&timely)?, RedeemCode::Redeemed)?;

    let short = bench.decide(Grant { expires_at: at(10), ..cast.grant()? })?;
    same("the code of an expired grant", bench.redeem(&code(&short, 10))?, EXPIRED)
}

/// The grant gets the device that its redemption names, unless it has one. A redemption that fails names
/// none.
pub fn a_redemption_gives_the_grant_its_device<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let other = DeviceId::new("another device");
    let other = Some(other.map_err(|error| Violation::new(error.to_string()))?);
    for (own, named, kept) in [
        (None, None, None),
        (None, other.clone(), other.clone()),
        (Some(cast.device.clone()), None, Some(cast.device.clone())),
        (Some(cast.device.clone()), other, Some(cast.device.clone())),
    ] {
        for confirmation in [None, Some(key()?)] {
            let grant = bench.decide(Grant { device: own.clone(), ..cast.grant()? })?;
            let redemption =
                CodeRedemption { device: named.clone(), confirmation, ..code(&grant, 5) };
            let wrong = CodeRedemption { binding: random_digest()?, ..redemption.clone() };
            let mut expected = grant.clone();
            for presented in [&wrong, &redemption] {
                let answer = expected.redeem(presented, false);
                same("a code", bench.redeem(presented)?, answer)?;
                same("the row", bench.row(&grant)?, expected.clone())?;
            }
            same("the device", expected.device.clone(), kept.clone())?;
            bench.is_alive("a family with its device", &expected, 5)?;
            let device = expected.device.clone();
            let Some(device) = device else { continue };
            let app = (cast.client_id.clone(), cast.subject.clone());
            bench.revoke(&end(RevocationTarget::Device(app.0, app.1, device), 0))?;
            bench.is_dead("a family whose device is revoked", &bench.row(&expected)?, 6)?;
        }
    }
    Ok(())
}

/// R20: a code is void on a device whose access was ended, also if the redemption names the device. On
/// another, or on none, it is good.
pub fn a_redemption_is_judged_with_its_device<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let (app, user, device) = (cast.client_id.clone(), cast.subject.clone(), cast.device.clone());
    for target in [
        RevocationTarget::Device(app, user, device.clone()),
        RevocationTarget::NamedDevice(device.clone()),
    ] {
        for confirmation in [None, Some(key()?)] {
            let grant = bench.decide(Grant { device: None, ..cast.grant()? })?;
            bench.revoke(&end(target.clone(), 0))?;
            let good = CodeRedemption { confirmation, ..code(&grant, 1) };
            let on_it = CodeRedemption { device: Some(device.clone()), ..good.clone() };
            same("a code on the device", bench.redeem(&on_it)?, REVOKED)?;
            same("the row", bench.row(&grant)?, grant.clone())?;
            same("the code on no device", bench.redeem(&good)?, RedeemCode::Redeemed)?;
            let later = bench.decide(Grant { device: None, ..cast.grant()? })?;
            let on_it = CodeRedemption { device: Some(device.clone()), ..code(&later, 1) };
            same("a later code on it", bench.redeem(&on_it)?, RedeemCode::Redeemed)?;
        }
    }
    Ok(())
}
