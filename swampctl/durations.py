"""Lengths of time on a command line: `500ms`, `30s`, `5m`, `1h`, `2d`."""

from __future__ import annotations

import re
from typing import Final

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPELLING: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


def seconds(text: str) -> float:
    """The length that `text` spells, in seconds; raises ValueError that says how to spell one."""
    match = _SPELLING.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration: write for example 500ms, 30s or 5m")
    return int(match[1]) * _UNITS_S[match[2]]


def spell(value: float) -> str:
    """Seconds as people read them: `42s`, `5m`, `3h`, `2d`."""
    for unit, size in (("d", 86_400.0), ("h", 3600.0), ("m", 60.0)):
        if value >= 2 * size:
            return f"{int(value // size)}{unit}"
    return f"{value:.0f}s"
