"""How conflict copies are named.

Keeps true: a conflict copy never takes the place of another one (S2).  A copy keeps the path of
its file below `conflicts/`; where that is taken, or a parent of it is a copy itself, a number is
appended and the next free one is used.
"""

from __future__ import annotations

from typing import Final

_LONGEST_NAME: Final = 255


def conflict_place(path: str, *, taken: int = 0, blocked: int = 0) -> str:
    """Where to try to keep a copy of `path`, relative to `conflicts/`.

    `taken` counts the names found occupied so far (the last segment gets a number), `blocked` the
    parents found to be no directories (the first segment gets one).
    """
    segments = path.split("/")
    if blocked:
        segments[0] = _numbered(segments[0], blocked)
    if taken:
        segments[-1] = _numbered(segments[-1], taken)
    return "/".join(segments)


def _numbered(name: str, number: int) -> str:
    suffix = f".{number}"
    room = _LONGEST_NAME - len(suffix)
    # Cut on a character's border: half a character would be a name that is not UTF-8.
    return name.encode()[:room].decode(errors="ignore") + suffix
