"""Version 4: objects that are being sent in parts (section 5.4): what a crash leaves is aborted.

Named by `syncing/large.py` only.
"""

from __future__ import annotations

from typing import Final

SQL: Final = """
CREATE TABLE upload (upload TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (upload, key))
WITHOUT ROWID;
"""
