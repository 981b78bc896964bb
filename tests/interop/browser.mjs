// A browser without a window: cookies, redirects and plain forms, no scripts.

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

function decode(text) {
  return text.replace(/&(#x?[0-9a-f]+|[a-z]+);/gi, (whole, name) => {
    if (!name.startsWith("#")) return ENTITIES[name.toLowerCase()] ?? whole;
    const hex = /^#x/i.test(name);
    return String.fromCodePoint(parseInt(name.slice(hex ? 2 : 1), hex ? 16 : 10));
  });
}

function attributes(tag) {
  const found = {};
  const pattern = /([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gi;
  for (const [, name, double, single, bare] of tag.matchAll(pattern)) {
    found[name.toLowerCase()] ??= decode(double ?? single ?? bare ?? "");
  }
  return found;
}

/** The forms of a page: where they go, their fields as they are filled in, and their buttons. */
export function forms(page) {
  return [...page.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)].map(([, head, body]) => {
    const { method = "get", action = "" } = attributes(head);
    const form = { method: method.toLowerCase(), action, fields: [], buttons: [] };
    for (const [, name, rest] of body.matchAll(/<(input|button)\b((?:"[^"]*"|'[^']*'|[^>"'])*)>/gi)) {
      const field = attributes(rest);
      const type = field.type ?? (name.toLowerCase() === "button" ? "submit" : "text");
      const unticked = ["checkbox", "radio"].includes(type) && field.checked === undefined;
      if (type === "submit") form.buttons.push([field.name, field.value ?? ""]);
      else if (field.name && !unticked) form.fields.push([field.name, field.value ?? ""]);
    }
    return form;
  });
}

/** Follows redirects until one leads to the redirect URI of the app, or until a device is decided on. */
export class Browser {
  #cookies = new Map();
  #redirectUri;

  constructor(redirectUri) {
    this.#redirectUri = redirectUri;
  }

  async #load(url, init = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = cookie ? { cookie } : {};
    const signal = AbortSignal.timeout(120_000);
    const answer = await fetch(url, { ...init, headers, redirect: "manual", signal });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line);
      if (value) this.#cookies.set(name, value);
      else this.#cookies.delete(name);
    }
    return answer;
  }

  /** Opens the page, logs in and decides; answers with the URL to which the app is sent. */
  async open(url, user, password, decision) {
    let answer = await this.#load(url);
    for (let step = 0; step < 10; step += 1) {
      const location = answer.headers.get("location");
      if (location !== null) {
        url = new URL(location, url);
        if (url.href.startsWith(this.#redirectUri)) return url;
        answer = await this.#load(url);
        continue;
      }
      if (answer.status !== 200) throw new Error(`a page with status ${answer.status}`);
      [url, answer] = await this.#submit(url, await answer.text(), user, password, decision);
    }
    throw new Error("this leads nowhere");
  }

  /** Opens the page for a device, logs in, sends the code and decides; answers with the last page. */
  async decideDevice(url, user, password, decision, userCode) {
    let answer = await this.#load(url);
    for (let step = 0; step < 10; step += 1) {
      const location = answer.headers.get("location");
      if (location !== null) {
        url = new URL(location, url);
        answer = await this.#load(url);
        continue;
      }
      if (answer.status !== 200) throw new Error(`a page with status ${answer.status}`);
      const page = await answer.text();
      const form = forms(page).find(({ fields }) => fields.some(([name]) => name.includes("code")));
      if (form) {
        const fields = form.fields.map(([name, value]) => [name, value || userCode]);
        const target = new URL(form.action, url);
        answer = await this.#load(target, { method: "POST", body: new URLSearchParams(fields) });
        url = target;
      } else if (forms(page).length === 0) {
        return page;
      } else {
        [url, answer] = await this.#submit(url, page, user, password, decision);
      }
    }
    throw new Error("this leads nowhere");
  }

  async #submit(url, page, user, password, decision) {
    for (const form of forms(page)) {
      const names = form.fields.map(([name]) => name);
      let fields = form.fields;
      if (names.includes("password")) {
        const mine = { name: user, username: user, password };
        fields = fields.map(([name, value]) => [name, mine[name] ?? value]);
      } else if (names.includes("ticket")) {
        const there = form.buttons.some(([name, value]) => name === "decision" && value === decision);
        if (!there) throw new Error("no such button");
        fields = [...fields, ["decision", decision]];
      } else continue;
      if (form.method !== "post") throw new Error("such a form is posted");
      const target = new URL(form.action, url);
      return [target, await this.#load(target, { method: "POST", body: new URLSearchParams(fields) })];
    }
    throw new Error("a page without a form that is known");
  }
}
