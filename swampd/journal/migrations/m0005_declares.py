"""Version 5: acquisitions under which a declare was sent whose answer is not known (section 3).

Named by `locking/ledger.py` only.
"""

from __future__ import annotations

from typing import Final

SQL: Final = """
ALTER TABLE lock_nonce ADD COLUMN declares INTEGER NOT NULL DEFAULT 0;
"""
