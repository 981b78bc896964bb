//! The commands. Each may be run again: it then says that nothing changed.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use grantor::clock::UnixTime;
use grantor::ids::KeyId;
use grantor::jwt::{Algorithm, KeyError};
use grantor::random::OsRandom;
use grantor::server_secret::{
    KeyFile, KeyFileError, KeyState, KeyStatus, RootStatus, RootUse, Rotated, Rotation,
};
use serde_json::{Value, json};

const USAGE: &str = "\
Usage: grantor_keys COMMAND FILE [KEY] [OPTIONS]

  new FILE             creates the key file of a new server
  states FILE          shows each signing key and root with its state and instants
  publish FILE         adds a signing key, which is published at once and signs after --ahead
  promote FILE [KEY]   lets the published key sign now
  retire FILE KEY      refuses the tokens of a key that other keys have replaced, before its instant
  leaked FILE KEY      removes a key at once; if it signed, a new one takes its place
  fingerprint FILE     shows the fingerprints of the roots, by which a store knows them

With --root USE (handles, pepper, sealing or all), publish adds a root that is accepted only, promote
seals with it, and retire refuses the roots before it. Restart every process after each of them.

Options:
  --alg ALG            the algorithm of the new key: ES256 (the default of new), ES384 or EdDSA; publish
                       keeps the one of the present key
  --pem PEM            with publish and --alg: the private key is in this file, for RSA
  --ahead TIME         10m by default
  --longest-token TIME the longest lifetime of a token of any app, for which the old key is kept: 30d by
                       default
  --json               writes JSON

Each command may be run again after it was interrupted, and then says that nothing changed.
";

/// The length of a generated key id.
const THUMBPRINT: usize = 43;
/// How often a command begins again if another process writes the file.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// The parsed command line.
#[derive(Debug, Default)]
struct Options {
    key: Option<KeyId>,
    roots: Vec<RootUse>,
    algorithm: Option<Algorithm>,
    pem: Option<PathBuf>,
    rotation: Rotation,
    json: bool,
}

/// Runs the command line without the program's name. Returns the text to print.
///
/// # Errors
///
/// The problem, for the operator. It holds nothing of the file.
pub(crate) fn run(arguments: &[String], now: UnixTime) -> Result<String, String> {
    let [command, rest @ ..] = arguments else { return Ok(USAGE.to_owned()) };
    if ["help", "--help", "-h"].contains(&command.as_str()) {
        return Ok(USAGE.to_owned());
    }
    let [path, rest @ ..] = rest else { return Err(format!("{command}: no FILE\n\n{USAGE}")) };
    let (path, options) = (Path::new(path), parse(rest)?);
    let changed = match command.as_str() {
        "states" => return states(&read(path)?, now, options.json),
        "fingerprint" => return fingerprint(&read(path)?, options.json),
        "new" => create(path, &options, now)?,
        "publish" => change(path, |file| publish(file, &options, now))?,
        "promote" => change(path, |file| promote(file, &options, now))?,
        "retire" => change(path, |file| retire(file, &options, now))?,
        "leaked" => change(path, |file| leaked(file, &options, now))?,
        _ => return Err(format!("unknown command {command}\n\n{USAGE}")),
    };
    let states = states(&read(path)?, now, options.json)?;
    Ok(if options.json { states } else { format!("{changed}\n\n{states}") })
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        if argument == "--json" {
            options.json = true;
            continue;
        }
        // The thumbprint of a key may begin with dashes, too.
        if !argument.starts_with("--") || argument.len() == THUMBPRINT {
            let key = KeyId::new(argument).map_err(|error| format!("{argument}: {error}"))?;
            options.key = Some(key);
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let wrong = |why: &dyn std::fmt::Display| format!("{argument} {value}: {why}");
        let time = || humantime::parse_duration(value).map_err(|error| wrong(&error));
        match argument {
            "--root" => options.roots = root_uses(value)?,
            "--alg" => {
                let algorithm = serde_json::from_value(json!(value));
                options.algorithm = Some(algorithm.map_err(|_| wrong(&"unknown algorithm"))?);
            }
            "--pem" => options.pem = Some(value.into()),
            "--ahead" => options.rotation = options.rotation.publish_ahead(time()?),
            "--longest-token" => options.rotation = options.rotation.longest_token(time()?),
            _ => return Err(format!("unknown option {argument}\n\n{USAGE}")),
        }
    }
    Ok(options)
}

fn root_uses(name: &str) -> Result<Vec<RootUse>, String> {
    let named = |root_use: &RootUse| name == "all" || json!(root_use) == name;
    let uses: Vec<_> = RootUse::ALL.iter().copied().filter(named).collect();
    if uses.is_empty() {
        return Err(format!("--root {name}: expected handles, pepper, sealing or all"));
    }
    Ok(uses)
}

/// Adds what an operator may do about it.
fn explain(error: &KeyFileError) -> String {
    let kind = if let KeyFileError::Io { cause, .. } = error { Some(cause.kind()) } else { None };
    let hint = if kind == Some(ErrorKind::NotFound) {
        "; `new` creates it"
    } else if kind == Some(ErrorKind::PermissionDenied) {
        "; run this as the user of the server"
    } else if matches!(error, KeyFileError::Permissions { .. }) {
        "; if other users could read it, treat its keys as leaked"
    } else {
        ""
    };
    format!("{error}{hint}")
}

fn read(path: &Path) -> Result<KeyFile, String> {
    KeyFile::read(path).map_err(|error| explain(&error))
}

/// Reads the file, applies `step` and writes it. Begins again if another process has written it meanwhile.
fn change(path: &Path, step: impl Fn(&mut KeyFile) -> Step) -> Result<String, String> {
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        let mut file = read(path)?;
        let done = match step(&mut file)? {
            Change::Made(done) => done,
            Change::Nothing(reason) => return Ok(format!("{reason} Nothing changed.")),
        };
        match file.write(path) {
            Ok(()) => return Ok(done),
            Err(error @ (KeyFileError::Busy { .. } | KeyFileError::Changed { .. })) => {
                last = explain(&error);
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(explain(&error)),
        }
    }
    Err(last)
}

fn create(path: &Path, options: &Options, now: UnixTime) -> Result<String, String> {
    match KeyFile::read(path) {
        Ok(_) => return Ok("The file exists. Nothing changed.".to_owned()),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(explain(&error)),
    }
    let algorithm = options.algorithm.unwrap_or(Algorithm::ES256);
    let made = KeyFile::generate(algorithm, &OsRandom::new(), now).map_err(|it| it.to_string());
    made?.write(path).map_err(|error| explain(&error))?;
    Ok(format!("Created {}. Back it up: nothing else opens what the store holds.", path.display()))
}

/// The effect of a step, for the operator.
enum Change {
    /// It changed the file.
    Made(String),
    /// It was taken before. The text is the reason.
    Nothing(String),
}

impl Change {
    fn made(text: impl Into<String>) -> Self {
        Self::Made(text.into())
    }

    fn nothing(reason: impl Into<String>) -> Self {
        Self::Nothing(reason.into())
    }
}

type Step = Result<Change, String>;

fn publish(file: &mut KeyFile, options: &Options, now: UnixTime) -> Step {
    if !options.roots.is_empty() {
        let states = root_states(file)?;
        let waits = |root_use: &RootUse| {
            let of_use = |it: &&RootStatus| it.print.root_use() == *root_use;
            states.iter().filter(of_use).any(|it| it.state == KeyState::Published)
        };
        let uses: Vec<_> = options.roots.iter().copied().filter(|it| !waits(it)).collect();
        if uses.is_empty() {
            return Ok(Change::nothing("A root waits for its promotion."));
        }
        file.add_root(&uses, &OsRandom::new(), now).map_err(|error| error.to_string())?;
        let next = "Restart one process after the other, then run `promote`.";
        return Ok(Change::made(format!(
            "The new root is accepted, and seals nothing yet. {next}"
        )));
    }
    let rotated = match &options.pem {
        Some(path) => {
            let algorithm = options.algorithm.ok_or("--pem needs --alg")?;
            let pem = std::fs::read_to_string(path);
            let pem = pem.map_err(|error| format!("--pem {}: {error}", path.display()))?;
            file.rotate_to_pem(algorithm, &pem, now, &options.rotation)
        }
        None if options.algorithm.is_some() => return Err(NO_PEM.to_owned()),
        None => file.rotate(now, &options.rotation),
    };
    match rotated.map_err(|error| error.to_string())? {
        Rotated::Begun { key_id, signs_from } => Ok(Change::made(format!(
            "The key {key_id} is published, and signs from {signs_from}. Every process must read the \
             file until then."
        ))),
        Rotated::UnderWay { key_id, signs_from } => Ok(Change::nothing(format!(
            "The key {key_id} is published, and signs from {signs_from}."
        ))),
        other => Err(format!("unexpected: {other:?}")),
    }
}

const NO_PEM: &str = "publish keeps the algorithm of the present key; for another, make the key with \
                      `openssl genpkey` and add --pem";

fn promote(file: &mut KeyFile, options: &Options, now: UnixTime) -> Step {
    if !options.roots.is_empty() {
        let before = root_states(file)?;
        options.roots.iter().for_each(|root_use| file.promote_root(*root_use));
        let changed = root_states(file)? != before;
        return if changed {
            Ok(Change::made(
                "The newest root seals; the others are accepted. Restart one process after the other. \
                 Run `retire` when nothing needs the old one.",
            ))
        } else {
            Ok(Change::nothing("The newest root seals."))
        };
    }
    let keys = file.key_states(now);
    let found = match &options.key {
        Some(key) => {
            let named = keys.iter().find(|it| it.key_id == *key);
            Some(named.ok_or_else(|| format!("the file has no key {key}"))?)
        }
        None => keys.iter().find(|it| it.state == KeyState::Published),
    };
    let Some(KeyStatus { key_id, state, .. }) = found.cloned() else {
        return Ok(Change::nothing("No key waits to sign."));
    };
    if state == KeyState::Active {
        return Ok(Change::nothing(format!("The key {key_id} signs.")));
    }
    file.promote_key(&key_id, now).map_err(|_| format!("the key {key_id} is {state}"))?;
    Ok(Change::made(format!(
        "The key {key_id} signs. An API that has not fetched the JWK Set since it was published refuses \
         its tokens until it does."
    )))
}

fn retire(file: &mut KeyFile, options: &Options, now: UnixTime) -> Step {
    if !options.roots.is_empty() {
        let before = root_states(file)?;
        options.roots.iter().for_each(|root_use| file.retire_root(*root_use));
        let changed = root_states(file)? != before;
        return if changed {
            Ok(Change::made(
                "The roots before the one that seals are refused. Restart every process.",
            ))
        } else {
            Ok(Change::nothing("No root was sealing before the present one."))
        };
    }
    let key = options.key.as_ref().ok_or("retire: no KEY; `states` lists them")?;
    let before = file.key_states(now);
    match file.retire_key(key, now) {
        Ok(()) if file.key_states(now) == before => {
            Ok(Change::nothing(format!("The key {key} is retired.")))
        }
        Ok(()) => Ok(Change::made(format!("The key {key} is retired. Its tokens are refused."))),
        Err(KeyError::NoKey) => Ok(no_key(key)),
        Err(error) => Err(format!("{key}: {error}")),
    }
}

fn leaked(file: &mut KeyFile, options: &Options, now: UnixTime) -> Step {
    let key = options.key.as_ref().ok_or("leaked: no KEY; `states` lists them")?;
    match file.remove_leaked_key(key, now) {
        Ok(()) => Ok(Change::made(format!(
            "The key {key} is removed. Processes with an upkeep refuse its tokens within seconds. Restart \
             each API that verifies tokens by itself, or it accepts forged ones until it fetches the JWK \
             Set again."
        ))),
        Err(KeyError::NoKey) => Ok(no_key(key)),
        Err(error) => Err(format!("{key}: {error}")),
    }
}

/// The key was removed before, or its id is mistyped.
fn no_key(key: &KeyId) -> Change {
    Change::nothing(format!("The file has no key {key}: it was removed, or the id is wrong."))
}

fn root_states(file: &KeyFile) -> Result<Vec<RootStatus>, String> {
    file.root_states().map_err(|error| error.to_string())
}

fn text(instant: Option<UnixTime>) -> String {
    instant.map_or_else(|| "-".to_owned(), |instant| instant.to_string())
}

fn states(file: &KeyFile, now: UnixTime, as_json: bool) -> Result<String, String> {
    let (keys, roots) = (file.key_states(now), root_states(file)?);
    let use_of = |status: &KeyStatus| status.key_use.map_or(json!("all"), |it| json!(it));
    if as_json {
        let key = |status: &KeyStatus| {
            json!({
                "key_id": status.key_id,
                "algorithm": status.algorithm,
                "use": use_of(status),
                "state": status.state.as_str(),
                "signs_from": status.signs_from.to_string(),
                "kept_until": status.kept_until.map(|instant| instant.to_string()),
            })
        };
        let root = |status: &RootStatus| {
            json!({
                "fingerprint": status.print,
                "state": status.state.as_str(),
                "made_at": status.made_at.map(|instant| instant.to_string()),
            })
        };
        let keys: Vec<Value> = keys.iter().map(key).collect();
        let roots: Vec<Value> = roots.iter().map(root).collect();
        let all = json!({ "at": now.to_string(), "signing_keys": keys, "roots": roots });
        return Ok(format!("{all:#}\n"));
    }
    let mut table = format!("At {now}\n\n");
    let mut line = |cells: [&str; 6]| {
        let [key, algorithm, key_use, state, from, until] = cells;
        let end = format!("{algorithm:9}  {key_use:12}  {state:9}  {from:24}  {until}");
        _ = writeln!(table, "{key:43}  {}", end.trim_end());
    };
    line(["SIGNING KEY", "ALGORITHM", "USE", "STATE", "SIGNS FROM", "KEPT UNTIL"]);
    for status in &keys {
        let KeyStatus { key_id, algorithm, state, signs_from, kept_until, .. } = status;
        let (from, until) = (signs_from.to_string(), text(*kept_until));
        let key_use = use_of(status);
        let key_use = key_use.as_str().unwrap_or_default();
        line([key_id.as_str(), algorithm.as_str(), key_use, state.as_str(), &from, &until]);
    }
    _ = writeln!(table, "\n{:43}  {:9}  MADE AT", "ROOT", "STATE");
    for RootStatus { print, state, made_at, .. } in &roots {
        _ = writeln!(table, "{:43}  {state:9}  {}", print.to_string(), text(*made_at));
    }
    Ok(table)
}

fn fingerprint(file: &KeyFile, as_json: bool) -> Result<String, String> {
    let secret = file.server_secret().map_err(|error| error.to_string())?;
    let accepted = secret.roots_claim().accepted;
    if as_json {
        return Ok(format!("{}\n", json!(accepted)));
    }
    Ok(accepted.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n")
}
