//! The settings of token exchange in the form: sources, actors, targets and users.

use crate::app::{DelegationPolicy, IdJagAudience};
use crate::http::console::fields::Fields;
use crate::http::console::lines::{self, joined};
use crate::http::console::mistakes::Mistakes;
use crate::http::console::policy_form::{PolicyForm, PolicyNames};
use crate::http::console::texts::app_form as text;
use crate::ids::{ClientId, EvidenceIssuer, InvalidId, Issuer, Resource};
use crate::protocol::scope::Scope;

/// The names of the fields of the users.
pub(in super::super) const EXCHANGE: PolicyNames = PolicyNames {
    allow: "exchange_allow",
    subjects: "exchange_subjects",
    groups: "exchange_groups",
    except_subjects: "exchange_except_subjects",
    except_groups: "exchange_except_groups",
    limit: "exchange_limit",
    scope: "exchange_scope",
};

/// The settings of exchanges as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct ExchangeForm {
    pub(in super::super) apps: String,
    pub(in super::super) issuers: String,
    pub(in super::super) impersonated: bool,
    pub(in super::super) actors: String,
    pub(in super::super) max_actors: String,
    pub(in super::super) targets: String,
    pub(in super::super) id_jag: String,
    pub(in super::super) users: PolicyForm,
}

impl ExchangeForm {
    pub(super) fn of(policy: Option<&DelegationPolicy>) -> Self {
        let default = DelegationPolicy::default();
        let policy = policy.unwrap_or(&default);
        Self {
            apps: joined(policy.apps.iter().map(ClientId::as_str)),
            issuers: joined(policy.issuers.iter().map(EvidenceIssuer::as_str)),
            impersonated: policy.impersonated,
            actors: joined(policy.actors.iter().map(ClientId::as_str)),
            max_actors: policy.max_actors.to_string(),
            targets: joined(policy.targets.iter().map(Resource::as_str)),
            id_jag: joined(
                policy.id_jag.iter().map(line).collect::<Vec<_>>().iter().map(|it| &**it),
            ),
            users: PolicyForm::of(&policy.users),
        }
    }

    pub(super) fn of_fields(fields: &Fields) -> Self {
        let one = |name: &str| fields.one(name).replace("\r\n", "\n");
        Self {
            apps: one("exchange_apps"),
            issuers: one("exchange_issuers"),
            impersonated: fields.has("exchange_impersonated"),
            actors: one("exchange_actors"),
            max_actors: one("exchange_max_actors").trim().to_owned(),
            targets: one("exchange_targets"),
            id_jag: one("exchange_id_jag"),
            users: PolicyForm::of_fields(fields, &EXCHANGE),
        }
    }

    /// Returns the policy, with a sentence beside each wrong field.
    pub(super) fn policy(&self, mistakes: &mut Mistakes) -> DelegationPolicy {
        let mut add = |field, sentences: Vec<String>| {
            for sentence in sentences {
                mistakes.add(field, sentence);
            }
        };
        let (mut apps, mut issuers, mut actors) = (Vec::new(), Vec::new(), Vec::new());
        let (mut targets, mut id_jag) = (Vec::new(), Vec::new());
        let mut policy = DelegationPolicy::new(
            lines::names(&self.apps, ClientId::new, &mut apps),
            lines::names(&self.targets, Resource::new, &mut targets),
        )
        .with_issuers(lines::names(&self.issuers, EvidenceIssuer::new, &mut issuers))
        .with_actors(lines::names(&self.actors, ClientId::new, &mut actors))
        .with_impersonated(self.impersonated)
        .with_id_jag(lines::names(&self.id_jag, audience, &mut id_jag));
        add("exchange_apps", apps);
        add("exchange_issuers", issuers);
        add("exchange_actors", actors);
        add("exchange_targets", targets);
        add("exchange_id_jag", id_jag);
        let known = 1..=DelegationPolicy::MAX_ACTORS;
        match self.max_actors.parse() {
            Ok(count) if known.contains(&count) => policy = policy.with_max_actors(count),
            _ => mistakes.add("exchange_max_actors", text::EXCHANGE_MAX_ACTORS_WRONG),
        }
        policy.with_users(self.users.check(&EXCHANGE, mistakes))
    }

    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let list = |text: &str| text.trim().to_owned();
        let yes = if self.impersonated { text::YES } else { text::NO };
        let mut rows = vec![
            (text::EXCHANGE_APPS, list(&self.apps)),
            (text::EXCHANGE_ISSUERS, list(&self.issuers)),
            (text::EXCHANGE_IMPERSONATED, yes.to_owned()),
            (text::EXCHANGE_ACTORS, list(&self.actors)),
            (text::EXCHANGE_MAX_ACTORS, self.max_actors.clone()),
            (text::EXCHANGE_TARGETS, list(&self.targets)),
            (text::EXCHANGE_ID_JAG, list(&self.id_jag)),
        ];
        rows.extend(self.users.rows());
        rows
    }
}

/// Marks an API in a line of [`audience`].
const API: &str = "api=";

/// Writes another authorization server as a line.
fn line(server: &IdJagAudience) -> String {
    let mut line = format!("{} {}", server.audience, server.client_id);
    let apis = server.resources.iter().map(|it| [API, it.as_str()].concat());
    let scope = (!server.scope.is_empty()).then(|| server.scope.as_str().to_owned());
    for word in scope.into_iter().chain(apis) {
        line.push(' ');
        line.push_str(&word);
    }
    line
}

/// Reads a line: the issuer of the server, the client id there, and maybe scopes and APIs.
fn audience(line: &str) -> Result<IdJagAudience, InvalidId> {
    let mut words = line.split_whitespace();
    let (issuer, client_id) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let server = IdJagAudience::new(Issuer::new(issuer)?, ClientId::new(client_id)?);
    let (apis, scopes): (Vec<_>, Vec<_>) = words.partition(|word| word.starts_with(API));
    let apis = apis.into_iter().filter_map(|word| word.strip_prefix(API)).map(Resource::new);
    let scope = Scope::parse(&scopes.join(" "));
    let scope = scope.map_err(|invalid| InvalidId { kind: "scope", problem: invalid.problem })?;
    Ok(server.with_scope(scope).with_resources(apis.collect::<Result<Vec<_>, _>>()?))
}
