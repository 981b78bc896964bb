//! The self-check: starts this program in a new folder, logs in with the client of `rmcp`, and stops it by SIGTERM.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

use crate::client::{self, Identity, expect};
use crate::site::BoxError;

/// A running server. It ends with this value, and its folder goes.
struct Running {
    process: Child,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) async fn check() -> Result<(), BoxError> {
    let folder = std::env::temp_dir().join(format!("grantor-{}-mcp", std::process::id()));
    std::fs::create_dir(&folder)?;
    let ready = folder.join("ready.json");
    // One of an earlier start, which did not come to its end.
    std::fs::write(folder.join("ready.new"), "")?;
    let mut command = Command::new(std::env::current_exe()?);
    let command = command.args(["--listen", "127.0.0.1:0", "--folder"]).arg(&folder);
    let command =
        command.arg("--ready-file").arg(&ready).stdin(Stdio::null()).stdout(Stdio::null());
    let mut server = Running { process: command.spawn()?, folder };
    let ready = loop {
        if let Ok(text) = std::fs::read(&ready) {
            break serde_json::from_slice::<Value>(&text)?;
        }
        if let Some(status) = server.process.try_wait()? {
            return Err(format!("the server ended with {status}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mode = std::fs::metadata(server.folder.join("ready.json"))?.permissions().mode();
    expect("the file with the password is its owner's", mode & 0o777 == 0o600)?;
    let member = |name: &str| ready.get(name).and_then(Value::as_str).unwrap_or_default();
    let (issuer, mcp) = (member("issuer"), member("mcp"));

    let http = Client::builder().no_proxy().build()?;
    let known = format!("{issuer}/.well-known/");
    let document = async |path: &str| {
        let answer = http.get(format!("{known}{path}")).send().await?;
        Ok::<Value, BoxError>(serde_json::from_str(&answer.text().await?)?)
    };
    let metadata = document("oauth-authorization-server").await?;
    let openid = document("openid-configuration").await?;
    let scopes = serde_json::json!(["notes.read", "notes.write"]);
    expect("the metadata list the scopes", metadata["scopes_supported"] == scopes)?;
    expect("they are at both places", metadata == openid && metadata["issuer"] == issuer)?;
    let resource = document("oauth-protected-resource/mcp").await?;
    expect("the metadata of the MCP server name it", resource["resource"] == mcp)?;

    let identity = Identity::Registered("notes-cli".to_owned());
    client::run(mcp, &identity, (member("user"), member("password"))).await?;
    let told = Command::new("kill").args(["-TERM", &server.process.id().to_string()]).status()?;
    let ended = server.process.wait()?;
    expect("SIGTERM stops the server", told.success() && ended.success())
}
