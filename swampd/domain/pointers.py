"""Pointers: files named `latest` whose content names a sibling directory (section 6).

A reader must never see a pointer to a version that is not there yet (S8).
"""

from __future__ import annotations

from typing import Final

NAME: Final = "latest"
LONGEST: Final = 255


def is_pointer(path: str) -> bool:
    """May this path be a pointer?"""
    return path.rpartition("/")[2] == NAME


def pointer_target(path: str, content: bytes) -> str | None:
    """The directory that the pointer names, None where its content is no name."""
    if not is_pointer(path) or len(content) > LONGEST:
        return None
    try:
        name = content.decode().strip()
    except UnicodeDecodeError:
        return None
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        return None
    folder = path.rpartition("/")[0]
    return f"{folder}/{name}" if folder else name
