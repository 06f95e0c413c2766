"""What the disk of the cache does to us: it is full, unmounted, unreadable, broken.

An error for people, not a bug: nothing was decided on it (S4), and it is tried again when they ask.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from swampd.domain.states import Halt
from swampd.errors import Halted, LowSpace

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_MORE_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})
MORE_FILES: Final = (
    "let the daemon have more open files (`ulimit -n` where it is started, or LimitNOFILE= in its"
    " unit), restart it, and run this again: nothing is lost"
)


@contextmanager
def working_in_the_cache(what: str) -> Iterator[None]:
    """Tell of an OSError in the block as errors.LowSpace or errors.Halted; `what` says of which
    scope or path it was."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise LowSpace(
                f"{what}: the disk of the cache is full",
                "free some space, then try again; nothing was lost",
            ) from error
        raise Halted(
            f"{what}: the cache cannot be worked in now: {error}",
            MORE_FILES if error.errno in NO_MORE_FILES else Halt.CACHE_MISSING.way_out,
            scope=what,
            halt=Halt.CACHE_MISSING.value,
        ) from error
