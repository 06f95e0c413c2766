"""Which operation a request to a store belongs to: its id goes out in the user agent.

So a server's access log can be added up by push, pull, renewal and settlement.  Imports nothing of
the package: whoever begins an operation names it, and only an adapter reads it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NONE: Final = "none"
_current: ContextVar[str] = ContextVar("operation", default=NONE)
_numbers = count(1)


def current() -> str:
    """The operation that this task works for, e.g. `push-17.4242` (kind, number, process)."""
    return _current.get()


@contextmanager
def operation(kind: str) -> Iterator[str]:
    """Requests of the block, and of the tasks begun in it, belong to a new operation; its id."""
    name = f"{kind}-{next(_numbers)}.{os.getpid()}"
    before = _current.get()
    _current.set(name)
    try:
        yield name
    finally:
        # Not a token's reset: a generator may be closed in another context than it was begun in.
        _current.set(before)
