//! Guides: how a host embeds the server, and how it runs it.
//!
//! | guide | for |
//! | --- | --- |
//! | [`embedding`] | from an empty service to a token, in the order in which an engineer does it |
//! | [`duties`] | one checklist of a host's duties, before production |
//! | [`http`] | routes, pages, scripts of other origins, logs and metrics |
//! | [`storage`] | the stores, their promises, tables, costs and tested faults |
//! | [`keys`] | roots and signing keys, where they are, and their rotation |
//! | [`resource_servers`] | APIs that check tokens, in this process and in others |
//! | [`mcp`] | MCP servers, and the clients that log in at them |
//! | [`console`] | pages for administrators, in the host's own service |
//! | [`administration`] | apps, secrets, revocation, declared apps, the audit log |
//! | [`acting_on_behalf`] | the policy engine, trusted issuers, ID-JAG and workloads |
//! | [`device_grant`] | televisions, consoles and command lines: the device authorization grant |
//! | [`token_exchange`] | an API that needs another API for a user's request |
//! | [`self_described_apps`] | apps that introduce themselves by a document: switch, template, consent page, administration |
//! | [`registration`] | apps that register themselves: callers, rules, bounds, management |
//! | [`devices`] | phones: the device of a token, remote wipe, delivery of the rules |
//! | [`mobile`] | rules that an app enforces on a phone, for administrators and developers of apps |
//! | [`migration`] | clients of five other servers |
//! | [`runbooks`] | the steps after a leak, a loss, a restore or a failover |
//! | [`limits`] | the bound of every input |
//! | [`performance`] | costs beside other libraries, and how to measure them |
//! | [`threat_model`] | threats of RFC 6819, RFC 9700 and RFC 10017, and their mitigations |
//!
//! # Files beside the guide
//!
//! The pages are the files in `docs/` of the package. A link to another page leads there, here and on a
//! code host: each page defines its links at its end, and this module defines the same labels before them. A
//! link to a file that is no page, such as a decision record or an example, leads here. The package has
//! these files, below `docs/` and `examples/`, except for `examples/actix_host` and `examples/mcp_server`, which are crates of their own.

/// The labels of links between pages. A definition before the text wins over the one in the text.
macro_rules! links {
    () => {
        "
[../README.md]: crate::guide#files-beside-the-guide
[../examples/server/README.md]: crate::guide#files-beside-the-guide
[acting-on-behalf.md]: crate::guide::acting_on_behalf
[acting-on-behalf.md#identity-assertions-id-jag]: crate::guide::acting_on_behalf#identity-assertions-id-jag
[acting-on-behalf.md#trusted-issuers]: crate::guide::acting_on_behalf#trusted-issuers
[acting-on-behalf.md#workloads]: crate::guide::acting_on_behalf#workloads
[administration.md]: crate::guide::administration
[administration.md#apps-of-the-configuration]: crate::guide::administration#apps-of-the-configuration
[administration.md#audit-usage-budgets]: crate::guide::administration#audit-usage-budgets
[administration.md#devices]: crate::guide::administration#devices
[administration.md#requests-that-overlap-the-end-of-access]: crate::guide::administration#requests-that-overlap-the-end-of-access
[administration.md#secrets]: crate::guide::administration#secrets
[administration.md#the-users-own-view]: crate::guide::administration#the-users-own-view
[allowed-apps.json]: crate::guide#files-beside-the-guide
[behaviours.md]: crate::guide#files-beside-the-guide
[console.md#pages-of-an-app]: crate::guide::console#pages-of-an-app
[console.md#the-users-page]: crate::guide::console#the-users-page
[decisions/0016-one-writer-shares-commits.md]: crate::guide#files-beside-the-guide
[decisions/0019-one-statement-and-a-clock-row.md]: crate::guide#files-beside-the-guide
[decisions/0020-the-audit-log-is-written-behind.md]: crate::guide#files-beside-the-guide
[decisions/0021-connections-are-passed-on.md]: crate::guide#files-beside-the-guide
[decisions/0023-old-programs-work-on-new-tables.md]: crate::guide#files-beside-the-guide
[decisions/0035-additions-to-the-tables.md]: crate::guide#files-beside-the-guide
[decisions/0040-what-an-exchange-accepts-and-gives.md]: crate::guide#files-beside-the-guide
[decisions/0041-searches-of-apps-read-an-index.md]: crate::guide#files-beside-the-guide
[decisions/0042-known-grants.md]: crate::guide#files-beside-the-guide
[decisions/0046-giving-identity-assertions.md]: crate::guide#files-beside-the-guide
[declared-apps.schema.json]: crate::guide#files-beside-the-guide
[device-grant.md]: crate::guide::device_grant
[devices.md]: crate::guide::devices
[devices.md#after-a-restore-after-a-new-root]: crate::guide::devices#after-a-restore-after-a-new-root
[devices.md#delivery-of-the-policy-document]: crate::guide::devices#delivery-of-the-policy-document
[devices.md#the-protocol-of-a-wipe]: crate::guide::devices#the-protocol-of-a-wipe
[duties.md]: crate::guide::duties
[embedding.md#another-framework]: crate::guide::embedding#another-framework
[embedding.md#keys-store-server]: crate::guide::embedding#keys-store-server
[embedding.md#several-issuers]: crate::guide::embedding#several-issuers
[embedding.md#users-and-pages]: crate::guide::embedding#users-and-pages
[examples/actix_host]: crate::guide#files-beside-the-guide
[examples/host]: crate::guide#files-beside-the-guide
[http.md#login-and-pages]: crate::guide::http#login-and-pages
[http.md#resource-servers]: crate::guide::http#resource-servers
[http.md#several-issuers]: crate::guide::http#several-issuers
[http.md#scripts-of-other-origins]: crate::guide::http#scripts-of-other-origins
[keys.md]: crate::guide::keys
[keys.md#rotation]: crate::guide::keys#rotation
[keys.md#where-they-are]: crate::guide::keys#where-they-are
[limits.md]: crate::guide::limits
[limits.md#console]: crate::guide::limits#console
[limits.md#the-server]: crate::guide::limits#the-server
[mcp.md]: crate::guide::mcp
[migration.md]: crate::guide::migration
[mobile.md]: crate::guide::mobile
[mobile.md#the-document]: crate::guide::mobile#the-document
[registration.md]: crate::guide::registration
[resource-servers.md]: crate::guide::resource_servers
[resource-servers.md#how-fast-a-change-arrives]: crate::guide::resource_servers#how-fast-a-change-arrives
[runbooks.md#a-backup-was-restored]: crate::guide::runbooks#a-backup-was-restored
[runbooks.md#a-failover-that-lost-writes]: crate::guide::runbooks#a-failover-that-lost-writes
[runbooks.md#a-signing-key-has-leaked]: crate::guide::runbooks#a-signing-key-has-leaked
[runbooks.md#retiring-a-pepper]: crate::guide::runbooks#retiring-a-pepper
[runbooks.md#rotating-signing-keys]: crate::guide::runbooks#rotating-signing-keys
[runbooks.md#the-key-file-is-lost]: crate::guide::runbooks#the-key-file-is-lost
[runbooks.md#the-serversecret-has-leaked]: crate::guide::runbooks#the-serversecret-has-leaked
[runbooks.md#the-upkeep-reports-a-failure]: crate::guide::runbooks#the-upkeep-reports-a-failure
[self-described-apps.md]: crate::guide::self_described_apps
[storage.md]: crate::guide::storage
[storage.md#audit-log-and-usage]: crate::guide::storage#audit-log-and-usage
[storage.md#maintenance]: crate::guide::storage#maintenance
[storage.md#upgrading]: crate::guide::storage#upgrading
[token-exchange.md]: crate::guide::token_exchange
[threat-model.md#device-grant]: crate::guide::threat_model#device-grant
[threat-model.md#not-covered]: crate::guide::threat_model#not-covered
[threat-model.md#phones]: crate::guide::threat_model#phones
"
    };
}

#[doc = links!()]
#[cfg_attr(all(feature = "axum", feature = "sqlite"), doc = include_str!("../docs/embedding.md"))]
#[cfg_attr(
    not(all(feature = "axum", feature = "sqlite")),
    doc = "Build the documentation with the features `axum` and `sqlite` to read this page."
)]
pub mod embedding {}

#[doc = links!()]
#[doc = include_str!("../docs/duties.md")]
pub mod duties {}

#[doc = links!()]
#[doc = include_str!("../docs/http.md")]
pub mod http {}

#[doc = links!()]
#[doc = include_str!("../docs/storage.md")]
pub mod storage {}

#[doc = links!()]
#[doc = include_str!("../docs/keys.md")]
pub mod keys {}

#[doc = links!()]
#[doc = include_str!("../docs/administration.md")]
pub mod administration {}

#[doc = links!()]
#[cfg_attr(all(feature = "axum", feature = "fetch"), doc = include_str!("../docs/resource-servers.md"))]
#[cfg_attr(
    not(all(feature = "axum", feature = "fetch")),
    doc = "Build the documentation with the features `axum` and `fetch` to read this page."
)]
pub mod resource_servers {}

#[doc = links!()]
#[cfg_attr(feature = "axum", doc = include_str!("../docs/mcp.md"))]
#[cfg_attr(
    not(feature = "axum"),
    doc = "Build the documentation with the feature `axum` to read this page."
)]
pub mod mcp {}

#[doc = links!()]
#[cfg_attr(all(feature = "axum", feature = "console"), doc = include_str!("../docs/console.md"))]
#[cfg_attr(
    not(all(feature = "axum", feature = "console")),
    doc = "Build the documentation with the features `axum` and `console` to read this page."
)]
pub mod console {}

#[doc = links!()]
#[doc = include_str!("../docs/acting-on-behalf.md")]
pub mod acting_on_behalf {}

#[doc = links!()]
#[doc = include_str!("../docs/device-grant.md")]
pub mod device_grant {}

#[doc = links!()]
#[doc = include_str!("../docs/token-exchange.md")]
pub mod token_exchange {}

#[doc = links!()]
#[doc = include_str!("../docs/self-described-apps.md")]
pub mod self_described_apps {}

#[doc = links!()]
#[doc = include_str!("../docs/devices.md")]
pub mod devices {}

#[doc = links!()]
#[doc = include_str!("../docs/registration.md")]
pub mod registration {}

#[doc = links!()]
#[doc = include_str!("../docs/mobile.md")]
pub mod mobile {}

#[doc = links!()]
#[doc = include_str!("../docs/migration.md")]
pub mod migration {}

#[doc = links!()]
#[doc = include_str!("../docs/runbooks.md")]
pub mod runbooks {}

#[doc = links!()]
#[doc = include_str!("../docs/limits.md")]
pub mod limits {}

#[doc = links!()]
#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

#[doc = links!()]
#[doc = include_str!("../docs/threat-model.md")]
pub mod threat_model {}
