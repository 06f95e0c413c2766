"""Version 6: conflict copies whose conflicts are over; the journal knows them until they are gone,
by their bytes too, since a name may be taken again.

Named by `syncing/local_ledger.py` only.
"""

from __future__ import annotations

from typing import Final

SQL: Final = """
CREATE TABLE dropped_copy (place TEXT PRIMARY KEY, sha256 TEXT) WITHOUT ROWID;
ALTER TABLE conflict ADD COLUMN sha256 TEXT;
"""
