"""Where fresh seeds begin: elsewhere with each run, unless it is said.

`make` draws the number and prints it; the same number again is the same run.
"""

from __future__ import annotations

import os
import secrets
from typing import Final

VARIABLE: Final = "SWAMPD_SEED_BASE"
SPAN: Final = 10**9
FIRST: Final = 10**6
"""What lies below was looked at one by one."""


def base() -> int:
    """The first seed of this run."""
    said = os.environ.get(VARIABLE)
    return FIRST + (int(said) if said else secrets.randbelow(SPAN))
