// The playground: the code flow with PKCE, and calls of the API, in the browser. Tokens are in the variables of this
// page, and nowhere else: neither in an address nor in a storage. Answers are shown as text, never as markup.
"use strict";

(() => {
  const CHANNEL = "grantor-playground-";
  const LONGEST = 20000;
  const at = (id) => document.getElementById(id);
  const words = {};
  for (const item of document.querySelectorAll("#words li")) words[item.dataset.word] = item.textContent;

  // The page that the browser comes back to, in a window of its own.

  function handOver(said) {
    const query = [...new URLSearchParams(location.search)];
    const answer = Object.fromEntries(query);
    // The code leaves the address and the history of this window.
    history.replaceState(null, "", location.pathname);
    if (!answer.state || query.length !== Object.keys(answer).length) {
      said.textContent = words.stray;
      return;
    }
    const channel = new BroadcastChannel(CHANNEL + answer.state);
    const late = setTimeout(() => { said.textContent = words.late; }, 3000);
    channel.onmessage = () => {
      clearTimeout(late);
      channel.close();
      said.textContent = words.taken;
      window.close();
    };
    channel.postMessage(answer);
  }

  if (at("callback")) {
    handOver(at("callback"));
    return;
  }

  const root = at("playground");
  const data = root.dataset;
  // The tokens, and the window that the page waits for.
  let held = null;
  let waiting = null;
  // Grows when everything is forgotten, so that answers that come later are not kept.
  let forgotten = 0;

  // Elements.

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function say(text, tone) {
    at("said").textContent = text;
    at("said").className = `status ${tone}`;
    at("said").hidden = false;
  }

  // A block of text. A piece that is an object is a secret, folded until the reader asks for it.
  function block(pieces) {
    const pre = element("pre");
    pre.tabIndex = 0;
    const show = (open) => {
      const plain = (piece) => (typeof piece === "string" ? piece : open ? piece.secret : words.folded);
      pre.textContent = pieces.map(plain).join("");
    };
    show(false);
    if (pieces.every((piece) => typeof piece === "string")) return [pre];
    const button = element("button", words.unfold, "copy");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "false";
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? words.fold : words.unfold;
      show(open);
    });
    return [pre, button];
  }

  // Fills a list with names, values, and notes on them.
  function describe(list, rows) {
    list.replaceChildren(...rows.map(([name, value, note]) => {
      const row = element("div");
      const description = element("dd");
      description.append(element(list.id === "claims" ? "code" : "span", value), ...(note ? [element("p", note, "hint")] : []));
      row.append(element("dt", name), description);
      return row;
    }));
  }

  // A card of the exchange. Its sentence tells what happened.
  function card(title, pieces) {
    const item = element("li", undefined, "stack");
    const sentence = element("p", "");
    sentence.dir = "auto";
    item.append(element("h3", title), sentence, ...block(pieces));
    at("timeline").append(item);
    at("nothing").hidden = true;
    return {
      append: (...more) => item.append(...more),
      say: (text, good) => {
        sentence.textContent = text;
        item.dataset.good = String(good);
        say(text, good ? "good" : "bad");
      },
    };
  }

  // Requests.

  const SECRET = new Set(["access_token", "refresh_token", "code", "code_verifier", "token", "presented"]);
  const asPieces = (name, value) => (SECRET.has(name) ? { secret: value } : value);

  // The fields of a form, as they are sent, one a line.
  function formPieces(fields) {
    return fields.flatMap(([name, value], place) => [
      `${place ? "&\n" : ""}${name}=`, asPieces(name, encodeURIComponent(value)),
    ]);
  }

  function answerPieces(text, json) {
    if (json === null || typeof json !== "object" || Array.isArray(json)) {
      return [text.length > LONGEST ? `${text.slice(0, LONGEST)} ${words.cut}` : text];
    }
    const lines = Object.entries(json).flatMap(([name, value], place) => [
      `${place ? ",\n" : ""}  ${JSON.stringify(name)}: `, asPieces(name, JSON.stringify(value)),
    ]);
    return ["{\n", ...lines, "\n}"];
  }

  // Sends a request and shows it with its answer. The browser adds headers of its own, such as Origin.
  async function exchange(title, method, url, headers, body, shownBody, credentials = "omit") {
    const head = headers.flatMap(([name, value, secret]) => [
      `\n${name}: `, ...(secret ? [value, { secret }] : [value]),
    ]);
    const shown = card(title, [`${method} ${url}`, ...head, ...(shownBody.length ? ["\n\n", ...shownBody] : [])]);
    const sent = headers.map(([name, value, secret]) => [name, secret ? value + secret : value]);
    let response;
    let text;
    try {
      response = await fetch(url, {
        method, body, headers: sent, mode: "cors", credentials, cache: "no-store", redirect: "error",
        referrerPolicy: "no-referrer",
      });
      text = await response.text();
    } catch {
      shown.say(words.unreachable, false);
      return { shown, status: 0 };
    }
    let json = null;
    try { json = JSON.parse(text); } catch { /* shown as text */ }
    const kept = [...response.headers].map(([name, value]) => `\n${name}: ${value}`);
    shown.append(element("p", words.answer, "soft"), ...block([
      `${response.status} ${response.statusText}`, ...kept, "\n\n", ...answerPieces(text, json),
    ]));
    return { shown, status: response.status, ok: response.ok, json, text, headers: response.headers };
  }

  function post(title, url, fields, credentials) {
    const headers = [["Content-Type", "application/x-www-form-urlencoded"], ["Accept", "application/json"]];
    return exchange(title, "POST", url, headers, new URLSearchParams(fields).toString(), formPieces(fields), credentials);
  }

  const refusal = (json) => [json?.error, json?.error_description].filter((it) => typeof it === "string").join(": ");

  // The flow.

  const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

  async function start() {
    waiting?.close();
    const [verifier, state] = [random(), random()];
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    const scopes = [...document.querySelectorAll("#scopes input:checked")].map((box) => box.value);
    const query = new URLSearchParams({
      response_type: "code", client_id: data.client, redirect_uri: data.redirect, scope: scopes.join(" "), state,
      code_challenge: base64url(digest), code_challenge_method: "S256",
    });
    const resource = at("resource")?.value;
    if (resource) query.set("resource", resource);
    const url = `${data.authorize}?${query}`;
    waiting = new BroadcastChannel(CHANNEL + state);
    waiting.onmessage = ({ data: answer, target }) => {
      target.postMessage("taken");
      target.close();
      waiting = null;
      receive(answer, verifier, state, resource);
    };
    const shown = card(words.authorize, [`GET ${data.authorize}\n\n`, ...formPieces([...query])]);
    const link = element("a", words["authorize-link"]);
    link.href = url;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    shown.append(link);
    shown.say(words["authorize-said"], true);
    window.open(url, "_blank", "popup,noopener,noreferrer,width=560,height=760");
  }

  async function receive(answer, verifier, state, resource) {
    const fields = Object.entries(Object(answer)).map(([name, value]) => [name, String(value)]);
    const shown = card(words.back, [`GET ${data.redirect}\n\n`, ...formPieces(fields)]);
    if (answer.state !== state) return shown.say(words["back-state"], false);
    if (answer.iss !== data.issuer) return shown.say(words["back-iss"], false);
    if (!answer.code) return shown.say(`${words["back-error"]} ${refusal(answer)}`, false);
    shown.say(words["back-code"], true);
    await ask(words.redeem, words["redeem-said"], [
      ["grant_type", "authorization_code"], ["client_id", data.client], ["code", answer.code],
      ["redirect_uri", data.redirect], ["code_verifier", verifier],
      ...(resource ? [["resource", resource]] : []),
    ]);
  }

  // Sends a token request, and keeps the tokens of its answer.
  async function ask(title, said, fields, refreshToken) {
    const before = forgotten;
    const { shown, ok, json, status } = await post(title, data.token, fields);
    if (!status || forgotten !== before) return;
    if (!ok || typeof json?.access_token !== "string") return shown.say(`${words.refused} ${refusal(json)}`, false);
    shown.say(said, true);
    held = { access: json.access_token, refresh: json.refresh_token ?? refreshToken, scope: json.scope ?? "" };
    showToken();
  }

  function refresh() {
    return ask(words.refresh, words["refresh-said"], [
      ["grant_type", "refresh_token"], ["client_id", data.client], ["refresh_token", held.refresh],
    ], held.refresh);
  }

  async function revoke() {
    const { shown, ok, json, status } = await post(words.revoke, data.revoke, [
      ["client_id", data.client], ["token", held.refresh ?? held.access],
      ["token_type_hint", held.refresh ? "refresh_token" : "access_token"],
    ]);
    if (status) shown.say(ok ? words["revoke-said"] : `${words.refused} ${refusal(json)}`, ok);
  }

  // The console asks for the page: only a client that authenticates may ask the endpoint.
  async function introspect() {
    const { shown, ok, json, status } = await post(words.introspect, data.introspect, [
      ["presented", held.access], ["token", data.form],
    ], "same-origin");
    if (!status) return;
    if (!ok) return shown.say(words["other-status"], false);
    shown.say(json?.active ? words["introspect-active"] : words["introspect-inactive"], Boolean(json?.active));
  }

  function forget() {
    forgotten += 1;
    waiting?.close();
    held = waiting = null;
    at("timeline").replaceChildren();
    at("claims").replaceChildren();
    for (const list of document.querySelectorAll("[data-result]")) list.replaceChildren();
    at("token").hidden = true;
    at("nothing").hidden = false;
    say(words.gone, "good");
  }

  // The token.

  function decoded(part) {
    const text = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (char) => char.charCodeAt(0))));
  }

  // A time in words, and how far away it is.
  function time(seconds) {
    const language = document.documentElement.lang;
    const away = seconds - Date.now() / 1000;
    const [amount, unit] = Math.abs(away) < 120 ? [away, "second"]
      : Math.abs(away) < 7200 ? [away / 60, "minute"] : [away / 3600, "hour"];
    const relative = new Intl.RelativeTimeFormat(language).format(Math.round(amount), unit);
    return `${new Date(seconds * 1000).toLocaleString(language)} (${relative})`;
  }

  function showToken() {
    at("token").hidden = false;
    at("refresh").hidden = !held.refresh;
    at("revoke").hidden = !data.revoke;
    say(words.got, "good");
    let parts;
    try {
      parts = held.access.split(".").slice(0, 2).map(decoded);
    } catch {
      at("about-token").textContent = words.opaque;
      at("claims").replaceChildren();
      return;
    }
    at("about-token").textContent = words.unverified;
    const explain = (kind, object) => Object.entries(object).map(([name, value]) => {
      const isTime = ["exp", "iat", "nbf", "auth_time"].includes(name) && typeof value === "number";
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return [name, isTime ? `${value} · ${time(value)}` : text, words[`${kind}-${name}`] ?? words["claim-other"]];
    });
    describe(at("claims"), [...explain("header", parts[0]), ...explain("claim", parts[1])]);
  }

  // Calls of the API.

  // Returns the address of an endpoint, or null unless its parts leave it below the path of the catalog.
  function address(endpoint) {
    const parts = {};
    for (const input of endpoint.querySelectorAll("[data-part]")) parts[input.dataset.part] = input.value;
    const path = endpoint.dataset.path.replace(/\{([^{}]+)\}/g, (_, name) => {
      const value = parts[name] ?? "";
      return name.startsWith("*") ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
    });
    if (Object.values(parts).includes("")) return null;
    const url = new URL(at("origin").value + path);
    return url.origin === at("origin").value && url.pathname === path ? url.href : null;
  }

  // The parameters of a challenge (RFC 6750 section 3).
  function challenge(headers) {
    const found = (headers.get("WWW-Authenticate") ?? "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g);
    return Object.fromEntries([...found].map(([, name, value]) => [name, value]));
  }

  async function call(endpoint) {
    if (!held) return say(words["no-token"], "bad");
    const url = address(endpoint);
    if (!url) return say(words.fill, "bad");
    const { method, scope } = endpoint.dataset;
    const headers = [["Authorization", "Bearer ", held.access]];
    const body = endpoint.querySelector("[data-body]")?.value || undefined;
    if (body) headers.push(["Content-Type", endpoint.querySelector("[data-type]").value]);
    const before = forgotten;
    const answer = await exchange(words.call, method, url, headers, body, body ? [body] : []);
    if (forgotten !== before) return;
    const rows = [[words.needed, scope], [words.granted, held.scope || words.none]];
    if (answer.status) {
      const { error, error_description: why, scope: asked } = challenge(answer.headers);
      const said = answer.ok ? `${words.allowed} ${scope}`
        : answer.status === 403 ? `${words.missing} ${asked ?? scope}`
          : answer.status === 401 ? words.unauthorized : words["other-status"];
      answer.shown.say(said, answer.ok);
      rows.unshift([words.status, String(answer.status)]);
      rows.push([words.reason, [said, [error, why].filter(Boolean).join(": ")].filter(Boolean).join(" ")]);
    } else {
      rows.push([words.reason, words.unreachable]);
    }
    describe(endpoint.querySelector("[data-result]"), rows);
  }

  // The start.

  at("needs-script").hidden = true;
  root.hidden = false;
  const isHere = new URL(data.redirect).origin === location.origin;
  if (!isHere || !globalThis.crypto?.subtle) {
    say(isHere ? words["no-crypto"] : `${words.elsewhere} ${data.redirect}`, "bad");
    at("start").disabled = true;
  }
  at("start").addEventListener("click", start);
  at("refresh").addEventListener("click", refresh);
  at("revoke").addEventListener("click", revoke);
  at("introspect").addEventListener("click", introspect);
  at("forget").addEventListener("click", forget);
  // The Back button shows no token again.
  addEventListener("pagehide", forget);
  for (const button of document.querySelectorAll("[data-send]")) {
    button.addEventListener("click", () => call(button.closest("[data-path]")));
  }
})();
