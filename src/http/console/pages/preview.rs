//! *Token preview* of an app: the claims of a token that is not issued, or the rule that refuses it.

use askama::Template;
use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Frame, Tab};
use super::super::problem::Problem;
use super::super::texts::{self, preview as text};
use super::super::times::{When, duration};
use super::super::visit::Visit;
use crate::admin::{AdminError, PreviewRequest, PreviewedToken, TokenPreview};
use crate::app::{CustomApp, Flow};
use crate::clock::UnixTime;
use crate::error::{Fault, Rejection};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::Resource;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/preview.html")]
struct Preview<'a> {
    frame: Frame<'a>,
    action: String,
    may_ask: bool,
    /// Value of the field, name, whether it is chosen.
    flows: Vec<(&'static str, &'static str, bool)>,
    user: &'a str,
    is_user_missing: bool,
    scope: &'a str,
    resource: &'a str,
    resources: Vec<&'a str>,
    token: Option<Token>,
    refused: Option<Refused>,
    is_hook_broken: bool,
}

/// A previewed token in words.
struct Token {
    claims: Vec<Claim>,
    lifetime: String,
    refresh_ends: Option<When>,
    /// Scope token, rule, setting.
    left_out: Vec<(String, &'static str, Option<&'static str>)>,
    is_by_login: bool,
    includes_hook: bool,
}

pub(super) struct Claim {
    pub(super) name: String,
    pub(super) value: String,
    /// Whether the value has several lines.
    pub(super) is_block: bool,
    pub(super) when: Option<When>,
    meaning: &'static str,
}

/// A refusal in words.
struct Refused {
    reason: String,
    answer: String,
    setting: Option<(&'static str, &'static str)>,
    /// The link to the rule that decides about the user.
    check: Option<String>,
}

impl Claim {
    fn new(name: &str, value: &Value, now: UnixTime) -> Self {
        let at = value.as_i64().and_then(|number| match name {
            "iat" | "exp" | "auth_time" => Some(UnixTime::from_seconds(number)),
            "authorized_at" => Some(UnixTime::from_millis(number)),
            _ => None,
        });
        let is_block = value.is_object() || value.is_array();
        let meaning = text::MEANINGS.iter().find(|(own, _)| *own == name);
        Self {
            name: name.to_owned(),
            value: match value.as_str() {
                Some(text) => text.to_owned(),
                None if is_block => format!("{value:#}"),
                None => value.to_string(),
            },
            is_block,
            when: at.map(|at| When::new(at, now)),
            meaning: meaning.map_or(text::OF_HOST, |(_, meaning)| meaning),
        }
    }
}

/// Returns the claims in the order of the page: those of the server, then those of the host.
pub(super) fn claims(claims: &Map<String, Value>, now: UnixTime) -> Vec<Claim> {
    let place = |name: &str| text::MEANINGS.iter().position(|(own, _)| *own == name);
    let mut sorted: Vec<_> = claims.iter().collect();
    sorted.sort_by_key(|(name, _)| (place(name).unwrap_or(usize::MAX), *name));
    sorted.into_iter().map(|(name, value)| Claim::new(name, value, now)).collect()
}

impl Token {
    fn new(token: &PreviewedToken, flow: Flow, now: UnixTime) -> Self {
        let seconds = token.expires_at.as_seconds().saturating_sub(token.issued_at.as_seconds());
        let left_out = token
            .left_out
            .iter()
            .map(|it| (it.token.as_str().to_owned(), text::limit(it.limit), it.limit.setting()));
        Self {
            claims: claims(&token.claims, now),
            lifetime: duration(u32::try_from(seconds).unwrap_or(0)),
            refresh_ends: token.refresh_ends_at.map(|at| When::new(at, now)),
            left_out: left_out.collect(),
            is_by_login: flow == Flow::AuthorizationCode,
            includes_hook: token.includes_hook,
        }
    }
}

/// Returns the request of a query, or `None` if it names no flow.
fn request(query: &Fields) -> Option<PreviewRequest<'_>> {
    let flow = text::FLOWS.iter().find(|(_, name)| *name == query.one("flow"));
    let mut request = PreviewRequest::new(flow?.0);
    request.user = Some(query.one("user")).filter(|user| !user.is_empty());
    request.scope = Some(query.one("scope"));
    request.resource = Some(query.one("resource").trim());
    Some(request)
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the form, and the preview of the request that the query describes.
    pub(in super::super) async fn preview(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let query = self.query()?;
        let asked = request(&query);
        if asked.is_some() {
            // The answer tells about the user's account, and may have claims of the host.
            self.require(ConsoleRole::Edit)?;
        }
        let flow = asked.map(|asked| asked.flow);
        let is_user_missing = asked
            .is_some_and(|asked| asked.user.is_none() && asked.flow != Flow::ClientCredentials);
        let chosen = flow.or_else(|| app.settings().flows().first().copied());
        let option = |(own, value)| (value, texts::apps::flow(own), chosen == Some(own));
        let mut page = Preview {
            frame: self.app_frame(&app, Tab::Preview),
            action: self.app_link(app.client_id(), Tab::Preview.path()),
            may_ask: self.may(ConsoleRole::Edit),
            flows: text::FLOWS.into_iter().map(option).collect(),
            user: query.one("user"),
            is_user_missing,
            scope: query.one("scope"),
            resource: query.one("resource"),
            resources: app.settings().resources().iter().map(Resource::as_str).collect(),
            token: None,
            refused: None,
            is_hook_broken: false,
        };
        if let Some(asked) = asked.filter(|_| !is_user_missing) {
            match self.admin().preview_token(app.client_id(), &asked).await {
                Ok(TokenPreview::Token(token)) => {
                    page.token = Some(Token::new(&token, asked.flow, self.now()));
                }
                Ok(TokenPreview::Refused(rejection)) => {
                    page.refused = Some(self.refused(&app, &asked, &rejection));
                }
                Err(AdminError::Preview(Fault::Hook(_))) => page.is_hook_broken = true,
                Err(error) => return Err(error.into()),
            }
        }
        self.page(&page)
    }

    fn refused(
        &self,
        app: &CustomApp,
        asked: &PreviewRequest<'_>,
        rejection: &Rejection,
    ) -> Refused {
        let setting = rejection.setting();
        let user = asked.user.filter(|_| matches!(rejection, Rejection::ImpersonationDenied(_)));
        let check = user.map(|user| {
            let page = self.app_link(app.client_id(), Tab::Impersonation.path());
            let query = Serializer::new(String::new()).append_pair("user", user).finish();
            format!("{page}?{query}")
        });
        Refused {
            reason: texts::audit::reason(rejection.reason()),
            answer: rejection.description().into_owned(),
            setting: setting.map(|name| (name, texts::audit::setting(name).unwrap_or_default())),
            check,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_claim_is_explained_in_the_order_of_the_page() {
        let now = UnixTime::from_seconds(1_700_000_000);
        let json = json!({
            "a": { "b": [1] }, "exp": 1_700_000_060, "sub": "ann", "iss": "i", "n": 1.5,
            "authorized_at": 1_699_999_940_000_i64, "iat": "no number",
        });
        let claims = claims(json.as_object().unwrap(), now);
        let names: Vec<_> = claims.iter().map(|claim| &*claim.name).collect();
        assert_eq!(names, ["iss", "sub", "iat", "exp", "authorized_at", "a", "n"]);
        let ago = |at: usize| claims[at].when.as_ref().map(|when| &*when.ago);
        assert_eq!((ago(2), ago(3), ago(4)), (None, Some("in 1 minute"), Some("1 minute ago")));
        let shown = |at: usize| (&*claims[at].value, claims[at].is_block);
        assert_eq!((shown(1), shown(6)), (("ann", false), ("1.5", false)));
        assert!(claims[5].is_block && claims[5].value.contains('\n'));
        let of_host = |at: usize| claims[at].meaning == text::OF_HOST;
        assert_eq!((of_host(5), of_host(4)), (true, false));
    }
}
