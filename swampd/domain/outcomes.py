"""What a store answers.  What can be uncertain is a value, never an exception (section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.domain.values import RemoteKey, Token


class Applied(msgspec.Struct, frozen=True, gc=False):
    """The write happened; the object now has this token (None after a delete)."""

    token: Token | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The service said clearly that the condition did not hold; nothing was written.

    `raced` marks the answer "somebody else was writing": nothing landed, read and decide again.
    """

    raced: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """No clear answer: the write may have landed, may land later, or never."""

    reason: str
    retry_after_s: float | None = None
    """So long the store asked to wait."""


WriteOutcome = Applied | Rejected | Unknown


class Found(msgspec.Struct, frozen=True):
    """An object as read: `body` is empty where the bytes went to a sink."""

    token: Token
    size: int
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no object at this key."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The object still has the token that the reader knows."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The object has another token than the one that the read was conditional on."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a listing.  The key is as the store spelt it: hostile until parsed."""

    key: RemoteKey
    token: Token
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """Up to 1,000 rows in key order; `after` continues the listing, None ends it."""

    rows: tuple[Listed, ...]
    after: str | None
