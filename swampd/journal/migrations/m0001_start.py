"""Version 1: the first tables.

locks (`locking/ledger.py`), heads (`indexing/ledger.py`), paths (`indexing/rows.py`), work under
way (`syncing/ledger.py`): each area's functions are the only ones that name its tables.
"""

from __future__ import annotations

from typing import Final

SQL: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value);
CREATE TABLE lock_nonce (
    nonce TEXT PRIMARY KEY, scope TEXT NOT NULL, epoch INTEGER NOT NULL,
    covers TEXT NOT NULL, deadline REAL, boot_id TEXT NOT NULL,
    record BLOB, token TEXT
) WITHOUT ROWID;
CREATE TABLE lock_seen (
    scope TEXT PRIMARY KEY, epoch INTEGER NOT NULL, free_token TEXT, free_record BLOB
) WITHOUT ROWID;
CREATE TABLE lock_doubt (
    scope TEXT PRIMARY KEY, epoch INTEGER NOT NULL, first_seen REAL NOT NULL, boot_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE hold (
    token TEXT PRIMARY KEY, row TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE remote (
    path TEXT PRIMARY KEY, scope TEXT NOT NULL, record BLOB NOT NULL, home TEXT,
    pending INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX remote_home ON remote (scope, home);
CREATE INDEX remote_pending ON remote (scope) WHERE pending;
CREATE TABLE base (
    path TEXT PRIMARY KEY, scope TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
    x INTEGER NOT NULL, dev INTEGER NOT NULL, ino INTEGER NOT NULL, fsize INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, racy INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX base_scope ON base (scope);
CREATE TABLE unapplied (path TEXT PRIMARY KEY, scope TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX unapplied_scope ON unapplied (scope);
CREATE TABLE head (
    scope TEXT PRIMARY KEY, token TEXT, body BLOB, epoch INTEGER NOT NULL, seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE halt (
    scope TEXT NOT NULL, halt TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (scope, halt)
) WITHOUT ROWID;
CREATE TABLE refused_key (
    scope TEXT NOT NULL, key TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE TABLE request (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, path TEXT NOT NULL,
    wid TEXT NOT NULL, sha256 TEXT, epoch INTEGER NOT NULL, sent_at REAL NOT NULL,
    boot_id TEXT NOT NULL
);
CREATE INDEX request_path ON request (path);
CREATE TABLE commit_intent (
    wid TEXT PRIMARY KEY, scope TEXT NOT NULL, token TEXT, seq INTEGER NOT NULL,
    sent_at REAL NOT NULL, boot_id TEXT NOT NULL, changes BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE mirrored (
    path TEXT PRIMARY KEY, wid TEXT NOT NULL, token TEXT, sure INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE placement (
    name TEXT PRIMARY KEY, path TEXT NOT NULL, fresh_sha256 TEXT, old_sha256 TEXT
) WITHOUT ROWID;
CREATE TABLE trash (
    name TEXT PRIMARY KEY, path TEXT NOT NULL, sha256 TEXT NOT NULL, at REAL NOT NULL,
    boot_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE path_state (
    path TEXT PRIMARY KEY, scope TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE conflict (
    path TEXT PRIMARY KEY, scope TEXT NOT NULL, kind TEXT NOT NULL, record BLOB, copy TEXT,
    wall_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE joining (path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE join_claimed (scope TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE committed_at (scope TEXT PRIMARY KEY, at REAL NOT NULL, boot_id TEXT) WITHOUT ROWID;
"""
