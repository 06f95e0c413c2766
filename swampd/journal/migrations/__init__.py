"""The steps that make the journal's tables, oldest first.

A step is an SQL script.  Step n brings `user_version` from n - 1 to n, in one transaction.  A step
that was once released is never edited: another one is added behind it.
"""

from __future__ import annotations

from typing import Final

from swampd.journal.migrations import (
    m0001_start,
    m0002_answers,
    m0003_sent,
    m0004_upload,
    m0005_declares,
    m0006_dropped_copy,
    m0007_decided,
)

MIGRATIONS: Final[tuple[str, ...]] = (
    m0001_start.SQL,
    m0002_answers.SQL,
    m0003_sent.SQL,
    m0004_upload.SQL,
    m0005_declares.SQL,
    m0006_dropped_copy.SQL,
    m0007_decided.SQL,
)
"""All steps; their number is the newest version that this daemon knows."""
