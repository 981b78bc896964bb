//! The settings that need the role `Security`: by them an app gets credentials, or acts as users.

use super::{EXCHANGE, no_mistakes};
use crate::app::{AppSettings, ClientAuthentication, Flow, JwtSettings};
use crate::http::console::mistakes::Mistakes;
use crate::http::console::texts::app_form as text;

/// Returns a sentence beside each setting of `new` that an administrator with the role `Edit` may not save. `old` is
/// `None` for a new app, whose credentials are new in any case.
pub(in super::super) fn beyond_edit(old: Option<&AppSettings>, new: &AppSettings) -> Mistakes {
    let mut mistakes = no_mistakes();
    if let Some(old) = old
        && old.authentication() != new.authentication()
    {
        let own_keys = |of: &AppSettings| {
            matches!(
                of.authentication(),
                ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::PrivateKeyJwtUri(_)
            )
        };
        let field = if own_keys(old) && own_keys(new) { "client_keys" } else { "authentication" };
        mistakes.add(field, text::NEEDS_SECURITY);
    }
    for flow in [Flow::JwtBearer, Flow::TokenExchange] {
        let acts = |of: &AppSettings| of.allows(flow);
        if acts(new) && !old.is_some_and(acts) {
            mistakes.add("flows", text::FLOW_NEEDS_SECURITY);
            return mistakes;
        }
    }
    let (before, now) = (old.and_then(AppSettings::delegation), new.delegation());
    if before != now {
        for (field, is_changed) in [
            ("exchange_apps", before.map(|it| &it.apps) != now.map(|it| &it.apps)),
            ("exchange_issuers", before.map(|it| &it.issuers) != now.map(|it| &it.issuers)),
            (
                "exchange_impersonated",
                before.map(|it| it.impersonated) != now.map(|it| it.impersonated),
            ),
            ("exchange_actors", before.map(|it| &it.actors) != now.map(|it| &it.actors)),
            ("exchange_max_actors", before.map(|it| it.max_actors) != now.map(|it| it.max_actors)),
            ("exchange_targets", before.map(|it| &it.targets) != now.map(|it| &it.targets)),
            ("exchange_id_jag", before.map(|it| &it.id_jag) != now.map(|it| &it.id_jag)),
            (EXCHANGE.allow, before.map(|it| &it.users) != now.map(|it| &it.users)),
        ] {
            if is_changed {
                mistakes.add(field, text::NEEDS_SECURITY);
            }
        }
    }
    match (old.and_then(AppSettings::jwt), new.jwt()) {
        (_, None) => {}
        (None, Some(_)) => mistakes.add("flows", text::FLOW_NEEDS_SECURITY),
        (Some(old), Some(new)) => jwt(old, new, &mut mistakes),
    }
    mistakes
}

fn jwt(old: &JwtSettings, new: &JwtSettings, mistakes: &mut Mistakes) {
    if old == new {
        return;
    }
    for (field, is_changed) in [
        ("jwt_issuer", old.issuer() != new.issuer()),
        ("jwt_audience", old.audience() != new.audience()),
        ("jwt_keys", old.assertion_keys() != new.assertion_keys()),
        ("jwt_user_claim", old.user_claim() != new.user_claim()),
        ("jwt_authenticates", old.assertion_authenticates() != new.assertion_authenticates()),
        ("jwt_refresh_token", old.issues_refresh_token() != new.issues_refresh_token()),
        ("jwt_members", old.impersonation() != new.impersonation()),
    ] {
        if is_changed {
            mistakes.add(field, text::NEEDS_SECURITY);
        }
    }
    if mistakes.is_empty() {
        mistakes.add("form", text::NEEDS_SECURITY);
    }
}
