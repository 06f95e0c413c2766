"""A store in memory, in the two dialects that real ones speak.

Purpose: the store of the simulator and of tests.  `MemoryObjects` is the whole state, with plain
methods that apply at once, so that the simulator can apply a request late; `MemoryStore` is one
connection to it.  It keeps section 2: every write is atomic and decided by the token it names.

- `Dialect.S3`: the token is a hash of the bytes.  Equal bytes have an equal token whatever their
  metadata, so a token comes back when the bytes do.
- `Dialect.GCS`: the token carries a generation that never comes back; only the generation counts.

Limits: no faults, no delays, no least interval between writes (L12): those are the simulator's.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from swampd.domain.outcomes import (
    Applied,
    Found,
    Listed,
    Mismatch,
    Missing,
    Page,
    Rejected,
    Unchanged,
)
from swampd.domain.values import RemoteKey, Token
from swampd.errors import KeyRefused, SwampdError
from swampd.ports import StoreCapabilities
from swampd.stores.bodies import CHUNK, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swampd.domain.outcomes import WriteOutcome
    from swampd.ports import Body, Creation, Lacking, MaySend, Read, Sink, Wanted

PAGE_ROWS: Final = 1000
LONGEST_KEY: Final = 1024
FULL: Final = StoreCapabilities(conditional_delete=True, server_copy=True)


class Dialect(Enum):
    """How tokens behave."""

    S3 = "s3"
    GCS = "gcs"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object: its bytes are immutable, a write makes a new one."""

    token: Token
    body: bytes
    metadata: Mapping[str, str]

    def found(self, *, body: bool) -> Found:
        """As a read answers it."""
        return Found(self.token, len(self.body), self.metadata, self.body if body else b"")


class MemoryObjects:
    """The objects of one bucket; every method applies at once and is atomic."""

    def __init__(self, dialect: Dialect, capabilities: StoreCapabilities = FULL) -> None:
        self.dialect = dialect
        self.capabilities = capabilities
        self._objects: dict[RemoteKey, StoredObject] = {}
        # Code points sort as their UTF-8 bytes do, so plain strings give the order of a listing.
        self._keys: list[RemoteKey] = []
        self._generation = 0

    def same(self, one: Token, other: Token) -> bool:
        """Do the two tokens name one version, as this dialect compares them?"""
        match self.dialect:
            case Dialect.S3:
                return one.e_tag == other.e_tag
            case Dialect.GCS:
                return one.version == other.version
            case _:  # pragma: no cover
                assert_never(self.dialect)

    def look(self, key: RemoteKey) -> StoredObject | None:
        """The object itself, for a checker.  Raises errors.KeyRefused."""
        return self._objects.get(_accepted(key))

    def get(self, key: RemoteKey, if_token: Token | None = None) -> Found | Missing | Mismatch:
        """The object; Mismatch when it has another token than `if_token`."""
        stored = self.look(key)
        if stored is None:
            return Missing()
        if if_token is not None and not self.same(stored.token, if_token):
            return Mismatch()
        return stored.found(body=True)

    def get_if_changed(self, key: RemoteKey, token: Token) -> Found | Missing | Unchanged:
        """The object, unless it still has this token."""
        stored = self.look(key)
        if stored is None:
            return Missing()
        return Unchanged() if self.same(stored.token, token) else stored.found(body=True)

    def head(self, key: RemoteKey) -> Found | Missing:
        """Token, size and metadata."""
        stored = self.look(key)
        return Missing() if stored is None else stored.found(body=False)

    def put(self, key: RemoteKey, body: bytes, metadata: Mapping[str, str]) -> Applied:
        """Write without a condition."""
        _accepted(key)
        token = self._next_token(body)
        if key not in self._objects:
            insort(self._keys, key)
        self._objects[key] = StoredObject(token, body, MappingProxyType(dict(metadata)))
        return Applied(token)

    def create(
        self, key: RemoteKey, body: bytes, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        """Write if nothing is there."""
        return Rejected() if self.look(key) else self.put(key, body, metadata)

    def replace(
        self, key: RemoteKey, body: bytes, token: Token, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        """Write if the object has this token."""
        return self.put(key, body, metadata) if self._has(key, token) else Rejected()

    def delete(self, key: RemoteKey) -> Applied:
        """Delete without a condition."""
        if self.look(key) is not None:
            del self._objects[key]
            del self._keys[bisect_left(self._keys, key)]
        return Applied(None)

    def delete_if(self, key: RemoteKey, token: Token) -> Applied | Rejected:
        """Delete if the object has this token.

        Raises NotImplementedError without the capability: asking is a bug of the caller.
        """
        if not self.capabilities.conditional_delete:
            raise NotImplementedError("delete_if")
        return self.delete(key) if self._has(key, token) else Rejected()

    def copy_to(
        self,
        source: RemoteKey,
        target: RemoteKey,
        token: Token | None,
        metadata: Mapping[str, str],
    ) -> Applied | Rejected:
        """Copy the bytes of `source` to `target` if that has this token (None: is not there).

        Raises NotImplementedError without the capability: asking is a bug of the caller.
        """
        if not self.capabilities.server_copy:
            raise NotImplementedError("copy_to")
        stored = self.look(source)
        if stored is None:
            return Rejected()
        if token is None:
            return self.create(target, stored.body, metadata)
        return self.replace(target, stored.body, token, metadata)

    def list(self, prefix: RemoteKey, after: str | None = None) -> Page:
        """Up to 1,000 rows whose keys start with `prefix`, behind `after`."""
        start = bisect_left(self._keys, prefix)
        if after is not None:
            start = max(start, bisect_right(self._keys, RemoteKey(after)))
        keys = [
            key
            for key in islice(self._keys, start, start + PAGE_ROWS + 1)
            if key.startswith(prefix)
        ]
        rows = tuple(self._row(key) for key in keys[:PAGE_ROWS])
        return Page(rows, rows[-1].key if len(keys) > PAGE_ROWS else None)

    def _has(self, key: RemoteKey, token: Token) -> bool:
        stored = self.look(key)
        return stored is not None and self.same(stored.token, token)

    def _row(self, key: RemoteKey) -> Listed:
        stored = self._objects[key]
        return Listed(key, stored.token, len(stored.body))

    def _next_token(self, body: bytes) -> Token:
        e_tag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        match self.dialect:
            case Dialect.S3:
                return Token(e_tag)
            case Dialect.GCS:
                self._generation += 1
                return Token(e_tag, str(self._generation))
            case _:  # pragma: no cover
                assert_never(self.dialect)


class MemoryStore:
    """One connection to a `MemoryObjects`; several may share one.

    `read_body` reads a sealed body where the location of sealed files is not a path.
    """

    def __init__(
        self,
        objects: MemoryObjects,
        name: str = "memory",
        read_body: Callable[[Body], bytes] = whole,
    ) -> None:
        self._objects = objects
        self._name = name
        self._read_body = read_body

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self._name

    @property
    def capabilities(self) -> StoreCapabilities:
        """As the objects were made."""
        return self._objects.capabilities

    @property
    def parts(self) -> None:
        """Any body is written at once."""
        return None

    def narrow(self, lacking: Lacking) -> None:
        """It keeps what it was made to keep: a probe that says otherwise found a bug.

        Raises AssertionError.
        """
        raise AssertionError(lacking)

    async def get(
        self, key: RemoteKey, *, if_token: Token | None = None, sink: Sink | None = None
    ) -> Found | Missing | Mismatch:
        """See `ports.ObjectStore`."""
        answer = self._objects.get(key, if_token)
        if sink is None or not isinstance(answer, Found):
            return answer
        for start in range(0, answer.size, CHUNK):
            sink(answer.body[start : start + CHUNK])
        return Found(answer.token, answer.size, answer.metadata)

    async def get_each(self, wanted: Sequence[Wanted]) -> Sequence[Read | SwampdError]:
        """See `ports.ObjectStore`."""
        return [self._get_or_error(one) for one in wanted]

    def _get_or_error(self, wanted: Wanted) -> Read | SwampdError:
        try:
            return self._objects.get(wanted.key, wanted.if_token)
        except SwampdError as error:
            return error

    async def get_if_changed(self, key: RemoteKey, token: Token) -> Found | Missing | Unchanged:
        """See `ports.ObjectStore`."""
        return self._objects.get_if_changed(key, token)

    async def head(self, key: RemoteKey) -> Found | Missing:
        """See `ports.ObjectStore`."""
        return self._objects.head(key)

    async def put(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> Applied:
        """See `ports.ObjectStore`."""
        return self._objects.put(key, self._read_body(body), metadata)

    async def create(
        self, key: RemoteKey, body: Body, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        """See `ports.ObjectStore`."""
        return self._objects.create(key, self._read_body(body), metadata)

    async def create_each(
        self, creations: Sequence[Creation], may_send: MaySend
    ) -> Sequence[WriteOutcome | SwampdError | None]:
        """See `ports.ObjectStore`."""
        answers: list[WriteOutcome | SwampdError | None] = []
        for number, each in enumerate(creations):
            try:
                sent = may_send(number)
                args = (each.key, each.body, each.metadata)
                answers.append(await self.create(*args) if sent else None)
            except SwampdError as error:
                answers.append(error)
        return answers

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        """See `ports.ObjectStore`."""
        return self._objects.replace(key, self._read_body(body), token, metadata)

    async def delete(self, key: RemoteKey) -> Applied:
        """See `ports.ObjectStore`."""
        return self._objects.delete(key)

    async def delete_if(self, key: RemoteKey, token: Token) -> Applied | Rejected:
        """See `ports.ObjectStore`."""
        return self._objects.delete_if(key, token)

    async def copy_to(
        self,
        source: RemoteKey,
        target: RemoteKey,
        token: Token | None,
        metadata: Mapping[str, str],
    ) -> Applied | Rejected:
        """See `ports.ObjectStore`."""
        return self._objects.copy_to(source, target, token, metadata)

    async def list(self, prefix: RemoteKey, after: str | None = None) -> Page:
        """See `ports.ObjectStore`."""
        return self._objects.list(prefix, after)

    async def close(self) -> None:
        """Nothing to let go of."""


def _accepted(key: RemoteKey) -> RemoteKey:
    """The key; raises errors.KeyRefused for one that is empty, over 1,024 bytes or not UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise KeyRefused(f"the key {key!r} is not UTF-8", key=ascii(key)) from error
    if not 0 < size <= LONGEST_KEY:
        raise KeyRefused(
            f"the key {key!r} has {size} bytes; 1 to {LONGEST_KEY} are possible", key=key
        )
    return key
