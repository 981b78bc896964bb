//! The parts of the form that come from the server: scopes of the catalog, host names, and what the redirect URIs mean.

use std::collections::BTreeMap;

use super::{AppForm, draft};
use crate::catalog::ApiCatalog;
use crate::http::console::lines::lines;
use crate::http::console::texts::app_form as text;
use crate::protocol::redirect_uri::{InstanceHosts, RedirectUri};

/// A group of scopes in the catalog.
pub(in super::super) struct ScopeGroup {
    pub(in super::super) name: String,
    pub(in super::super) scopes: Vec<KnownScope>,
}

/// A scope of the catalog.
pub(in super::super) struct KnownScope {
    pub(in super::super) token: String,
    pub(in super::super) titles: String,
    pub(in super::super) is_ticked: bool,
}

/// A redirect URI as the server understands it.
pub(in super::super) struct Understood {
    pub(in super::super) uri: String,
    pub(in super::super) meaning: &'static str,
    /// A host template with the names of this server.
    pub(in super::super) preview: Vec<String>,
}

/// The contents of a page with the form, beside what was typed.
pub(in super::super) struct AppFormView {
    pub(in super::super) groups: Vec<ScopeGroup>,
    pub(in super::super) hosts: Vec<String>,
    pub(in super::super) understood: Vec<Understood>,
    /// Whether other issuers may be sources of exchanges, because the server trusts some or the app names one.
    pub(in super::super) has_issuers: bool,
    /// Whether the app exists already.
    pub(in super::super) is_edit: bool,
}

impl AppFormView {
    pub(in super::super) fn new(
        form: &AppForm,
        catalog: Option<&ApiCatalog>,
        hosts: &InstanceHosts,
        has_issuers: bool,
    ) -> Self {
        Self {
            groups: catalog.map_or_else(Vec::new, |catalog| groups(form, catalog)),
            hosts: hosts.names().map(str::to_owned).collect(),
            understood: lines(&form.redirect_uris)
                .filter_map(|line| understood(form, hosts, line))
                .collect(),
            has_issuers: has_issuers || !form.exchange.issuers.trim().is_empty(),
            is_edit: !form.version.is_empty(),
        }
    }
}

fn understood(form: &AppForm, hosts: &InstanceHosts, line: &str) -> Option<Understood> {
    let loopback = line.starts_with("http://");
    let uri = if form.allow_localhost && loopback {
        RedirectUri::loopback_with_localhost(line)
    } else {
        RedirectUri::parse(line)
    };
    let uri = uri.ok()?;
    let is_template = line.contains("%%HOST%%");
    let meaning = if is_template {
        text::TEMPLATE
    } else if draft::allows_localhost(&uri) {
        text::LOOPBACK_LOCALHOST
    } else if loopback {
        text::LOOPBACK
    } else if line.starts_with("https://") {
        text::EXACT
    } else {
        text::OWN_SCHEME
    };
    let preview = hosts.names().filter(|_| is_template).map(|host| line.replace("%%HOST%%", host));
    Some(Understood { uri: line.to_owned(), meaning, preview: preview.collect() })
}

/// Returns the scopes by group, each once, in the order of the catalog.
fn groups(form: &AppForm, catalog: &ApiCatalog) -> Vec<ScopeGroup> {
    let group = |(name, endpoints): (&str, Vec<&crate::catalog::Endpoint>)| {
        let mut scopes: Vec<KnownScope> = Vec::new();
        let mut places = BTreeMap::new();
        for endpoint in endpoints {
            let token = endpoint.scope().as_str();
            let place = *places.entry(token).or_insert(scopes.len());
            match scopes.get_mut(place) {
                Some(_) if endpoint.title().is_empty() => {}
                Some(known) => {
                    let separator = if known.titles.is_empty() { "" } else { ", " };
                    known.titles.push_str(separator);
                    known.titles.push_str(endpoint.title());
                }
                None => scopes.push(KnownScope {
                    token: token.to_owned(),
                    titles: endpoint.title().to_owned(),
                    is_ticked: form.has_scope(token),
                }),
            }
        }
        let name = if name.is_empty() { text::OTHER_GROUP } else { name };
        ScopeGroup { name: name.to_owned(), scopes }
    };
    catalog.by_group().into_iter().map(group).collect()
}
