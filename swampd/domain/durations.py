"""Lengths of time as people write them: `500ms`, `30s`, `5m`, `1h`, `90d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}

_SPELLING: Final = re.compile(r"([0-9]+)(ms|s|m|h|d)")


def parse_duration(text: str) -> timedelta:
    """The length that `text` spells: a whole number, directly followed by its unit.

    Raises ValueError that says what is wrong with it.
    """
    match = _SPELLING.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a duration: write a whole number and its unit (ms, s, m, h, d),"
            " such as 500ms, 30s or 5m"
        )
    try:
        return int(match[1]) * _UNITS[match[2]]
    except (OverflowError, ValueError):  # ValueError: more digits than int() takes
        raise ValueError(f"the duration of {len(text)} characters is too long") from None
