"""What stands between us and a store, as `status` tells it: a closed set, and what each one means.

Pure: an error comes as its code, its sentence and the word that its adapter chose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class StoreState(Enum):
    """How a store answered last; the value is what programs read."""

    OK = "ok"
    SILENT = "silent"
    """Requests wait for an answer, and none has come for a while."""
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    NO_CREDENTIALS = "no_credentials"
    EXPIRED_CREDENTIALS = "expired_credentials"
    DENIED = "denied"

    @property
    def passes(self) -> bool:
        """May work that waits go on by itself?  What is denied stays denied until a person acts."""
        return self is not StoreState.DENIED

    @property
    def needs_credentials(self) -> bool:
        """Has a person to see to the credentials?"""
        return self in _OF_CREDENTIALS


_OF_CREDENTIALS: Final = frozenset(
    {StoreState.NO_CREDENTIALS, StoreState.EXPIRED_CREDENTIALS, StoreState.DENIED}
)
_BY_CODE: Final = {
    "store_unavailable": StoreState.UNREACHABLE,
    "store_denied": StoreState.DENIED,
    "no_credentials": StoreState.NO_CREDENTIALS,
    "credentials_refused": StoreState.EXPIRED_CREDENTIALS,
}
_BY_WORD: Final = {state.value: state for state in StoreState if state is not StoreState.OK}
# The codes of S3, whole words in CamelCase: a key that is named in a sentence rarely looks so.
_EXPIRED: Final = re.compile(r"\b(ExpiredToken(Exception)?|RequestExpired|TokenRefreshRequired)\b")
_THROTTLED: Final = re.compile(
    r"\b(SlowDown|TooManyRequests(Exception)?|Throttling(Exception)?|RequestLimitExceeded)\b"
)


def state_of(code: str, text: str = "", word: str = "") -> StoreState | None:
    """The state that an error shows; None where it says nothing of the store's health.

    `word` is the error's field `trouble`: what its adapter knows better.
    """
    state = _BY_CODE.get(code)
    if state is None:
        return None
    return _BY_WORD.get(word) or _spelt(text) or state


def state_of_unclear(reason: str) -> StoreState:
    """The state that a write without a clear answer shows."""
    return _spelt(reason) or StoreState.UNREACHABLE


def _spelt(text: str) -> StoreState | None:
    if _EXPIRED.search(text):
        return StoreState.EXPIRED_CREDENTIALS
    return StoreState.THROTTLED if _THROTTLED.search(text) else None


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a store at one moment.  Times are of the wall clock, for people only."""

    state: StoreState = StoreState.OK
    detail: str = ""
    hint: str = ""
    since_ms: int | None = None
    next_try_ms: int | None = None
    last_answer_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """As whom we speak to a store: where the credentials come from, and whose they are."""

    chain: str
    name: str
