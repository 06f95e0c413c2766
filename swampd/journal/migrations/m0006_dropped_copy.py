"""Version 6: conflict copies whose conflicts are over; the journal knows them until they are gone.

Named by `syncing/local_ledger.py` only.
"""

from __future__ import annotations

from typing import Final

SQL: Final = """
CREATE TABLE dropped_copy (place TEXT PRIMARY KEY) WITHOUT ROWID;
"""
