"""Where things are in a store: the keys of section 1, and the layout document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from swampd.domain import scopes
from swampd.domain.metadata import is_wid
from swampd.domain.paths import parse_scope
from swampd.domain.values import CachePath, Count, DatastoreId, RemoteKey, Scope, Wid

SCHEMA: Final = 1
CONTROL: Final = "_control/swampd"
_MANIFEST: Final = ".json.gz"


class Layout(msgspec.Struct, frozen=True):
    """`layout.json`: made once by set-up, then changed by CAS only."""

    schema: Count
    datastore_id: DatastoreId
    state: str
    wid: Wid


@dataclass(frozen=True, slots=True)
class Keys:
    """Makes every key under one prefix; the prefix is used verbatim (empty: none)."""

    prefix: str = ""

    def _key(self, rest: str) -> RemoteKey:
        return RemoteKey(f"{self.prefix}/{rest}" if self.prefix else rest)

    @property
    def all(self) -> RemoteKey:
        """The prefix of every key: with its slash, so that what is beside it is not below it."""
        return self._key("")

    @property
    def prefix_bytes(self) -> int:
        """How much of the longest key the prefix takes (`paths.parse_cache_path`)."""
        return len(self.all.encode())

    def payload(self, path: CachePath) -> RemoteKey:
        """The plain key that mirrors a cache path."""
        return self._key(path)

    @property
    def layout(self) -> RemoteKey:
        """The layout document."""
        return self._key(f"{CONTROL}/layout.json")

    def lock(self, scope: Scope) -> RemoteKey:
        """The lock record of a scope."""
        return self._key(f"{CONTROL}/locks/{scopes.escape(scope)}.json")

    def head(self, scope: Scope) -> RemoteKey:
        """The head of a scope."""
        return self._key(f"{CONTROL}/heads/{scopes.escape(scope)}.json")

    def manifest(self, wid: Wid) -> RemoteKey:
        """An immutable part of a head."""
        return RemoteKey(f"{self.manifests}{wid}{_MANIFEST}")

    def staged(self, wid: Wid) -> RemoteKey:
        """Content that waits for its plain key."""
        return RemoteKey(f"{self.stagings}{wid}")

    def probe(self, wid: Wid) -> RemoteKey:
        """The probe's scratch object."""
        return self._key(f"{CONTROL}/probe/{wid}")

    @property
    def locks(self) -> RemoteKey:
        """The prefix of all lock records."""
        return self._key(f"{CONTROL}/locks/")

    @property
    def heads(self) -> RemoteKey:
        """The prefix of all heads."""
        return self._key(f"{CONTROL}/heads/")

    @property
    def manifests(self) -> RemoteKey:
        """The prefix of all manifests."""
        return self._key(f"{CONTROL}/manifests/")

    @property
    def stagings(self) -> RemoteKey:
        """The prefix of all staged copies."""
        return self._key(f"{CONTROL}/staged/")

    def wid_of(self, key: RemoteKey) -> Wid | None:
        """The wid of the manifest or staged copy whose key this is, or None for any other key."""
        area, slash, name = key.rpartition("/")
        if area + slash == self.manifests and name.endswith(_MANIFEST):
            name = name.removesuffix(_MANIFEST)
        elif area + slash != self.stagings:
            return None
        return Wid(name) if is_wid(name) else None

    def is_control(self, key: RemoteKey) -> bool:
        """Is it what belongs to tools (ours and others'), and no content of a path?"""
        return key.startswith(self._key("_control/"))

    def scope_of(self, key: RemoteKey) -> Scope | None:
        """The scope whose lock or head this key is, or None for any other key (a hostile one)."""
        area, slash, name = key.rpartition("/")
        segment = name.removesuffix(".json")
        if area + slash not in (self.locks, self.heads) or segment == name:
            return None
        spelt = scopes.unescape(segment)
        if spelt is None or not scopes.fits_a_key(spelt):
            return None
        scope = parse_scope(spelt, allow_all=True)
        return scope if scope == spelt else None

    def path_of(self, key: RemoteKey) -> str | None:
        """The part of a key below the prefix, still hostile; None when it is outside."""
        if not self.prefix:
            return key
        return key.removeprefix(self.prefix + "/") if key.startswith(self.prefix + "/") else None
