"""Version 7: which placements carry out a person's decision: what they place is a local edit.

Named by `syncing/local_ledger.py` only.
"""

from __future__ import annotations

from typing import Final

SQL: Final = """
ALTER TABLE placement ADD COLUMN decided INTEGER NOT NULL DEFAULT 0;
"""
