"""What clients asked of the registers (locks, heads), and what they were told.

The store's own log says what it did; this says what its clients saw, so that a store that does not
keep its word can be found out by what it answers (`checks/registers.py`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from swampd.domain.values import Token

NEVER: Final = float("inf")
A = TypeVar("A")


@dataclass(slots=True)
class Call:
    """One request on one register (or a listing of several), by one client."""

    client: str
    what: str
    key: str
    asked: float
    body: bytes | None = None
    token: Token | None = None
    """What a write expects there (None: nothing), or a read has already."""
    answered: float = NEVER
    answer: Any = None
    """None: it never came to this client."""


class Calls:
    """All of them, in the order in which they were asked."""

    def __init__(self) -> None:
        self.all: list[Call] = []

    async def note(self, call: Call, request: Awaitable[A]) -> A:
        """Remember a call, and what becomes of it."""
        self.all.append(call)
        call.answer = answer = await request
        call.answered = asyncio.get_running_loop().time()
        return answer
