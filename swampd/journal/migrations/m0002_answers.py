"""Version 2: the answers to requests on locks, so that repeating one is safe across a restart.

Named by `answers.py` only.
"""

from __future__ import annotations

from typing import Final

SQL: Final = """
CREATE TABLE answer (
    method TEXT NOT NULL, request_id TEXT NOT NULL, body BLOB NOT NULL, wall_ms INTEGER NOT NULL,
    PRIMARY KEY (method, request_id)
) WITHOUT ROWID;
"""
