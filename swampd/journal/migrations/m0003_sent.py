"""Version 3: creates of plain keys that were acknowledged and are in no commit yet (section 5.4).

Named by `syncing/sent.py` only.
"""

from __future__ import annotations

from typing import Final

SQL: Final = """
CREATE TABLE sent (
    path TEXT PRIMARY KEY, wid TEXT NOT NULL, sha256 TEXT NOT NULL, token TEXT NOT NULL,
    epoch INTEGER NOT NULL, nonce TEXT NOT NULL
) WITHOUT ROWID;
"""
