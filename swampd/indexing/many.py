"""Many paths in one statement of SQLite: a statement for each costs several times as much.

`IN (SELECT value FROM json_each(?))` with `these(paths)` for its parameter, however many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


def these(values: Iterable[str | int]) -> str:
    """The parameter that stands for all of these."""
    return msgspec.json.encode(list(values)).decode()
