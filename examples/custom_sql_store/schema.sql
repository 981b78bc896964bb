-- The tables of a host, and those that a store of grants adds.
--
-- The first three belong to the host and follow its conventions: integer ids, instants as ISO text, a
-- tenant. The others refer to them by foreign keys. Their instants are milliseconds since 1970, the
-- unit of the store's clock.

CREATE TABLE tenants (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL
);

CREATE TABLE users (
  id         INTEGER PRIMARY KEY,
  tenant_id  INTEGER NOT NULL DEFAULT 1 REFERENCES tenants (id),
  public_id  TEXT    NOT NULL UNIQUE, -- the `sub` of tokens: never reused for another person
  email      TEXT,
  is_active  INTEGER NOT NULL DEFAULT 1,
  created_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

-- `tenant_id` and `created_at` belong to the host: the store neither reads nor writes them. A value
-- with a column is not repeated in `record`, so the host can change a name or disable an app by hand.
-- (It must then increment `version`, like every edit.)
CREATE TABLE applications (
  id         INTEGER PRIMARY KEY,
  tenant_id  INTEGER NOT NULL DEFAULT 1 REFERENCES tenants (id),
  client_id  TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
  version    INTEGER NOT NULL,
  record     TEXT    NOT NULL, -- the rest as JSON: settings, digests, sealed secrets
  created_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  deleted_at TEXT -- the host keeps the row, because grants of a deleted app refer to it
);
CREATE UNIQUE INDEX live_client_ids ON applications (client_id) WHERE deleted_at IS NULL;

-- Counts every insertion, update and removal, visible together with the change. Triggers ensure this
-- even if the host writes the table without the store.
CREATE TABLE store_clock (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  at          INTEGER NOT NULL, -- never runs backwards
  app_changes INTEGER NOT NULL
);
INSERT INTO store_clock VALUES (1, 0, 0);
-- Apps that describe themselves are not counted when they appear, change or go: strangers cause it.
CREATE TRIGGER insertions_are_counted AFTER INSERT ON applications
WHEN coalesce(NEW.record ->> 'origin', '') NOT IN ('self_registered', 'document') BEGIN
  UPDATE store_clock SET app_changes = app_changes + 1;
END;
CREATE TRIGGER updates_are_counted AFTER UPDATE ON applications
WHEN coalesce(OLD.record ->> 'origin', '') NOT IN ('self_registered', 'document') BEGIN
  UPDATE store_clock SET app_changes = app_changes + 1;
END;
CREATE TRIGGER removals_are_counted AFTER DELETE ON applications
WHEN coalesce(OLD.record ->> 'origin', '') NOT IN ('self_registered', 'document') BEGIN
  UPDATE store_clock SET app_changes = app_changes + 1;
END;

-- One row per grant. Columns hold the values that the host joins, filters and displays. `record` holds
-- the values that only the crate reads, including those of later versions.
CREATE TABLE grants (
  grant_id       BLOB    PRIMARY KEY NOT NULL,
  application_id INTEGER NOT NULL REFERENCES applications (id),
  user_id        INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  scope          TEXT    NOT NULL,
  device         TEXT,
  authorized_at  INTEGER NOT NULL,
  expires_at     INTEGER NOT NULL,
  inert_at       INTEGER NOT NULL, -- when the row may be removed
  generation     INTEGER NOT NULL, -- 0 while the code is pending
  ended_at       INTEGER,
  ended_why      TEXT,
  record         TEXT    NOT NULL  -- digests only, no usable credential
) WITHOUT ROWID;
CREATE INDEX grants_of_application ON grants (application_id, grant_id);
CREATE INDEX grants_of_user ON grants (user_id, grant_id);
CREATE INDEX grants_by_end ON grants (inert_at);

-- One row per target, which is JSON such as {"subject":"ann"}. It has no foreign keys, because a
-- revocation outlives the user or the app, and a grant need not have a row.
CREATE TABLE cutoffs (
  target TEXT    PRIMARY KEY NOT NULL,
  at     INTEGER NOT NULL UNIQUE, -- also the order of the feed
  why    TEXT    NOT NULL,
  until  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX cutoffs_by_end ON cutoffs (until);

-- By client id, not by row, so that they stay spent if the app is registered again.
CREATE TABLE spent_assertions (
  jti        BLOB    NOT NULL, -- a digest
  client_id  TEXT    NOT NULL,
  purpose    TEXT    NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (jti, client_id, purpose)
) WITHOUT ROWID;
CREATE INDEX spent_assertions_by_expiry ON spent_assertions (expires_at);

-- Fingerprints of the server's roots, in the order in which they began to seal. No root follows from
-- them. A server that lacks the last one does not start: it could open nothing that is stored here.
CREATE TABLE roots (
  place INTEGER PRIMARY KEY,
  print TEXT    NOT NULL UNIQUE
);

CREATE TABLE consents (
  application_id INTEGER NOT NULL REFERENCES applications (id),
  user_id        INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  scope          TEXT    NOT NULL,
  resource       TEXT,
  given_at       INTEGER NOT NULL,
  PRIMARY KEY (application_id, user_id)
) WITHOUT ROWID;

-- Rows as the JSON records of the crate.
CREATE VIEW live_applications AS
SELECT id, client_id, is_enabled, version, json_patch(record, json_object(
    'client_id', client_id, 'settings', json_object('name', name),
    'enabled', json(iif(is_enabled, 'true', 'false')), 'version', version)) AS document
FROM applications WHERE deleted_at IS NULL;

CREATE VIEW grant_records AS
SELECT g.*, a.client_id, a.is_enabled AS app_is_active, u.public_id AS subject,
  json_patch(g.record, json_object(
    'client_id', a.client_id, 'subject', u.public_id, 'scope', g.scope, 'device', g.device,
    'authorized_at', g.authorized_at, 'expires_at', g.expires_at, 'generation', g.generation,
    'revoked', json(iif(g.ended_at IS NULL, NULL, json_array(g.ended_at, g.ended_why))))) AS document
FROM grants AS g
JOIN applications AS a ON a.id = g.application_id JOIN users AS u ON u.id = g.user_id;
