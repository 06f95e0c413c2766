"""The place behind the daemons, seen past swampd: as a person with another tool sees it.

Keys are those of section 1 without the store's prefix (`data/f`, `_control/swampd/...`).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from swampd.domain.layout import CONTROL, Keys
from swampd.domain.values import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from swampd.ports import ObjectStore, Threads

HEADS: Final = f"{CONTROL}/heads/"
LOCKS: Final = f"{CONTROL}/locks/"
MANIFESTS: Final = f"{CONTROL}/manifests/"
NOBODYS: Final = "_control/"
"""What is below is control data, of swampd or of others."""


def head_key(scope: str) -> str:
    """Where the head of a scope is."""
    return Keys().head(Scope(scope))


def lock_key(scope: str) -> str:
    """Where the lock record of a scope is."""
    return Keys().lock(Scope(scope))


class Place(ABC):
    """One place for one datastore."""

    # --- how machines come to it --------------------------------------------------------------

    prefix: str
    """What stands before every key in the store, as `Keys` takes it."""

    @property
    @abstractmethod
    def setup(self) -> tuple[str, ...]:
        """The words behind `swampctl datastore setup`."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, object]:
        """What `datastore:` in `.swamp.yaml` holds."""

    @property
    @abstractmethod
    def variable(self) -> str:
        """The value of SWAMP_DATASTORE that names it."""

    @property
    @abstractmethod
    def shown(self) -> str:
        """What messages call it."""

    @abstractmethod
    def equip(self, home: Path) -> Mapping[str, str]:
        """Put into a machine's home what it needs to get in; the environment that goes with it."""

    @abstractmethod
    def open(self, threads: Threads) -> ObjectStore:
        """The product's own store on it, in this process."""

    @abstractmethod
    def another(self, name: str) -> Place:
        """An empty place beside this one."""

    @abstractmethod
    def away(self) -> AbstractContextManager[None]:
        """Nobody reaches it meanwhile; nothing in it is lost."""

    # --- what is in it ------------------------------------------------------------------------

    @abstractmethod
    def find(self, key: str) -> bytes | None:
        """The bytes of an object, None where there is none."""

    @abstractmethod
    def write_foreign(self, key: str, content: bytes) -> None:
        """Write an object as another program does: without a condition or swampd's metadata."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object that is there."""

    @abstractmethod
    def keys(self, prefix: str = "") -> list[str]:
        """All keys that start so, sorted; control data is among them."""

    @abstractmethod
    def writes(self) -> Mapping[str, object]:
        """The plain objects, each with what differs after every write of it."""

    def read(self, key: str) -> bytes:
        """The bytes of an object that is there."""
        found = self.find(key)
        assert found is not None, f"{key} is not in {self.shown}"
        return found

    def plain_keys(self) -> list[str]:
        """The keys that are no control data."""
        return [key for key in self.keys() if not key.startswith(NOBODYS)]

    def plain_files(self) -> dict[str, bytes]:
        """What a person sees in the store: the plain objects."""
        return {key: self.read(key) for key in self.plain_keys()}

    def head(self, scope: str = "data") -> dict[str, Any]:
        """The head of a scope, as it is written."""
        document: dict[str, Any] = json.loads(self.read(head_key(scope)))
        return document

    def edit_head(self, change: Callable[[dict[str, Any]], None], scope: str = "data") -> None:
        """Change a head as somebody with an editor would."""
        document = self.head(scope)
        change(document)
        self.write_foreign(head_key(scope), json.dumps(document).encode())
