"""The sandbox's own SQLite file: requests, recipients, events due, schedules, suppressions, templates, the signing key.

An event is one small row until it is posted; its JSON is made then. A repetition is a row of its own, so that a restart
and a retry need no special case.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from providers.sandbox.signing import SigningKey

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY,
    x_message_id TEXT NOT NULL,
    accepted_at REAL NOT NULL,
    common TEXT NOT NULL,  -- JSON: what every event of the request carries
    links TEXT NOT NULL,   -- JSON: what can be clicked
    vendor TEXT NOT NULL DEFAULT 'sendgrid'
);
CREATE TABLE IF NOT EXISTS recipients (
    id INTEGER PRIMARY KEY,
    request_id INTEGER NOT NULL REFERENCES requests,
    run TEXT NOT NULL,
    message_id TEXT NOT NULL,
    attempt_id TEXT,
    address TEXT NOT NULL,
    copy INTEGER NOT NULL,  -- 1: a further recipient of the same personalization
    fate TEXT NOT NULL,
    dropped_because TEXT,
    custom_args TEXT NOT NULL  -- JSON
);
CREATE INDEX IF NOT EXISTS recipients_by_message ON recipients (run, message_id);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    recipient_id INTEGER NOT NULL REFERENCES recipients,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    occurred_at REAL NOT NULL,
    due_at REAL NOT NULL,
    repeat INTEGER NOT NULL,
    posted_at REAL,
    vendor TEXT NOT NULL DEFAULT 'sendgrid'  -- the request's, by which what is due is found
);
DROP INDEX IF EXISTS events_due;
CREATE INDEX IF NOT EXISTS events_due_by_vendor ON events (vendor, due_at) WHERE posted_at IS NULL;
CREATE INDEX IF NOT EXISTS events_by_recipient ON events (recipient_id);
CREATE TABLE IF NOT EXISTS suppressions (
    email TEXT NOT NULL,
    list TEXT NOT NULL,
    created REAL NOT NULL,  -- may lie ahead: the address joins when its event happens
    reason TEXT NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (email, list)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unsubscribe_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the id of a deleted group is never given again
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    is_default INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS schedules (
    batch_id TEXT PRIMARY KEY,
    issued_at REAL NOT NULL,
    status TEXT  -- cancel, pause; NULL: nobody said either
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scheduled (  -- requests with a time of their own
    x_message_id TEXT PRIMARY KEY,
    batch_id TEXT,
    send_at REAL NOT NULL,
    withheld INTEGER NOT NULL,  -- 1: cancelled or paused, so that nothing of it is among the recipients
    payload TEXT NOT NULL  -- JSON: to take it on again when it is resumed
);
CREATE INDEX IF NOT EXISTS scheduled_by_batch ON scheduled (batch_id);
CREATE TABLE IF NOT EXISTS templates (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    generation TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS template_versions (
    id TEXT PRIMARY KEY,
    template_id TEXT NOT NULL REFERENCES templates,
    active INTEGER NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    html_content TEXT NOT NULL,
    plain_content TEXT NOT NULL,
    generate_plain_content INTEGER NOT NULL,
    editor TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS versions_by_template ON template_versions (template_id);
CREATE TABLE IF NOT EXISTS mandrill_templates (
    slug TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,  -- JSON
    draft TEXT NOT NULL,  -- JSON
    published TEXT,  -- JSON; NULL: never
    published_at REAL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signing_keys (pem BLOB NOT NULL);
"""


class Store:
    """One connection behind one lock: a writer at a time is all that SQLite allows, and all that is needed."""

    def __init__(self, path: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing so; only a power cut could, and nobody's mail hangs on the sandbox.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        for table in ("requests", "events"):  # of a file that is older than the second vendor
            columns = [row["name"] for row in self._connection.execute(f"PRAGMA table_info({table})")]
            if columns and "vendor" not in columns:
                self._connection.execute(f"ALTER TABLE {table} ADD COLUMN vendor TEXT NOT NULL DEFAULT 'sendgrid'")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Commit everything at the end, or nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    def signing_key(self) -> SigningKey:
        """Return the key pair, which is made when the file is."""
        with self.write() as connection:
            row = connection.execute("SELECT pem FROM signing_keys").fetchone()
            if row is not None:
                return SigningKey.from_pem(row["pem"])
            key = SigningKey.new()
            connection.execute("INSERT INTO signing_keys VALUES (?)", (key.pem(),))
            return key

    def close(self) -> None:
        with self._lock:
            self._connection.close()
