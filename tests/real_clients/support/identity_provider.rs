//! `oidc-provider` as the identity provider of a company, a process of its own.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use super::DocumentHost;
use super::scripts::{node, node_evaluates};

/// A running identity provider. It ends with the value.
pub(crate) struct IdentityProvider {
    child: Child,
    /// Kept open because the provider may write to it.
    _said: Lines<BufReader<ChildStdout>>,
    pub(crate) issuer: String,
}

impl IdentityProvider {
    /// Starts a provider with a client that has the id `client_id` at the servers that trust it. Returns the name of a
    /// missing program if it is not installed.
    pub(crate) fn start(client_id: &str) -> Result<Self, String> {
        let mut node = node("oidc_provider.mjs", &["oidc-provider"])?;
        // Node 18 does not have it.
        if !node_evaluates("URL.parse('a:b').href") {
            return Err("Node 20 or later, for oidc-provider".to_owned());
        }
        let mut child = node
            .args([DocumentHost::authorities(), DocumentHost::key()])
            .arg(client_id)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        // It ends without a line if it cannot start.
        let ready = said.next().unwrap().unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let issuer = ready["issuer"].as_str().unwrap().to_owned();
        Ok(Self { child, _said: said, issuer })
    }

    /// Returns the URL of its keys.
    pub(crate) fn keys(&self) -> String {
        format!("{}/jwks", self.issuer)
    }

    /// Returns its process id, which takes its signals.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Returns the file with the authority that its clients need.
    pub(crate) fn authorities() -> PathBuf {
        DocumentHost::authorities()
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        // It has ended already if a client has stopped it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
