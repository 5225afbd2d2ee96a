"""Marketing's tables in the sandbox's file. Who got which campaign stands with all other mail, in `recipients`."""

import sqlite3

LIST_ID = "5a4db0c5e1"  # the account's one audience

_SCHEMA = """
CREATE TABLE IF NOT EXISTS marketing_members (
    email TEXT PRIMARY KEY,  -- in lower case
    address TEXT NOT NULL,
    status TEXT NOT NULL,
    merge_fields TEXT NOT NULL,  -- JSON
    changed_at REAL NOT NULL,
    own_doing INTEGER NOT NULL DEFAULT 0,  -- 1: she left or complained, or her mailbox is gone: no API undoes that
    reason TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marketing_fields (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tag TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS marketing_segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS marketing_segment_members (
    segment_id INTEGER NOT NULL REFERENCES marketing_segments,
    email TEXT NOT NULL,
    PRIMARY KEY (segment_id, email)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marketing_campaigns (
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL,  -- in the order in which they were made
    status TEXT NOT NULL,
    settings TEXT NOT NULL,  -- JSON
    segment_id INTEGER,
    html TEXT NOT NULL DEFAULT '',
    plain_text TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    send_at REAL,
    sent_at REAL,
    emails_sent INTEGER NOT NULL DEFAULT 0,
    sends INTEGER NOT NULL DEFAULT 0  -- more than 1 is a fault of the sandbox
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marketing_tests (campaign_id TEXT NOT NULL, email TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS marketing_changes (  -- of members' states, when what brings them about has happened
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    email TEXT NOT NULL,
    kind TEXT NOT NULL,
    campaign_id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS marketing_changes_due ON marketing_changes (at);
CREATE TABLE IF NOT EXISTS marketing_webhooks (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    events TEXT NOT NULL,  -- JSON
    sources TEXT NOT NULL,  -- JSON
    secret TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marketing_posts (  -- what a webhook has not taken yet
    id INTEGER PRIMARY KEY,
    webhook_id TEXT NOT NULL,
    body TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL
);
"""


def make(connection: sqlite3.Connection) -> None:
    connection.executescript(_SCHEMA)
