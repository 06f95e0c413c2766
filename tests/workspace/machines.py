"""Machines for in-process tests: everything is real but the process border.

`Counted` counts operations at the store's port, so a budget is a number of requests, not a time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from swampd.cache.tree import LocalTree
from swampd.chance import SystemRng
from swampd.clock import SystemClock
from swampd.domain.codec import encode_layout
from swampd.domain.layout import SCHEMA, Keys, Layout
from swampd.domain.leases import Identity, LockState
from swampd.domain.values import DatastoreId, Wid
from swampd.errors import SwampdError
from swampd.journal.database import open_journal
from swampd.locking.holds import Owner
from swampd.syncing import local_ledger
from swampd.threads import BoundedThreads
from swampd.waiting import for_each
from swampd.workspace import Asker, Ports, Workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from swampd.domain.states import PathState
    from swampd.domain.values import Scope
    from tests.places.place import Place

DATASTORE = DatastoreId("e" * 32)


class Counted:
    """A store whose operations are counted, with the bytes that control objects cost."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.operations: Counter[str] = Counter()
        self.control_bytes = 0
        self.manifest_bytes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if name in ("name", "capabilities", "close", "narrow", "parts"):
            return value

        async def counted(*args: Any, **kwargs: Any) -> Any:
            if name.endswith("_each"):
                self.operations[name.removesuffix("_each")] += len(args[0])
                return await value(*args, **kwargs)
            self.operations[name] += 1
            key = str(args[0])
            if name in ("create", "replace") and ("/heads/" in key or "/manifests/" in key):
                self.control_bytes += len(args[1])
                if "/manifests/" in key:
                    self.manifest_bytes.append(len(args[1]))
            return await value(*args, **kwargs)

        return counted

    @property
    def total(self) -> int:
        """How many operations."""
        return sum(self.operations.values())

    def reset(self) -> None:
        """Count from zero."""
        self.operations.clear()
        self.control_bytes = 0
        self.manifest_bytes.clear()


class Machine:
    """One workspace with a user in front of it."""

    def __init__(self, name: str, workspace: Workspace, store: Counted, cache: Path) -> None:
        self.name = name
        self.workspace = workspace
        self.store = store
        self.cache = cache
        self.owner = Owner(f"{name}-shell")

    @property
    def asker(self) -> Asker:
        """The user in front of it."""
        return Asker(self.owner, wait_s=30.0)

    def write(self, path: str, content: bytes) -> None:
        """Write a file of the cache."""
        target = self.cache / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    async def push(self, *scopes: str, **options: Any) -> Any:
        """Push these scopes (none: all); the first error is raised."""
        outcome = await self.workspace.push(scopes or None, self.asker, **options)
        return _raised(outcome)

    async def pull(self, *scopes: str, **options: Any) -> Any:
        """Pull these scopes (none: all); the first error is raised."""
        outcome = await self.workspace.pull(scopes or None, self.asker, **options)
        return _raised(outcome)

    async def until_free(self, scope: Scope) -> None:
        """Wait, bounded, until the lock reads `free` (read past the counter)."""
        key = self.workspace.ports.keys.lock(scope)
        for _ in range(400):
            record = (await self.store._store.get(key)).body
            if f'"state":"{LockState.FREE.value}"'.encode() in record:
                return
            await self.workspace.ports.clock.sleep(0.01)
        raise AssertionError(f"the lock on {scope} is not freed")


def replace_get(one: Machine, get: Any) -> None:
    """Answer the machine's reads of objects with this, those of many at once too."""
    store = one.store._store

    async def get_each(wanted: Any) -> list[Any]:
        answers: list[Any] = []
        for each in wanted:
            try:
                answers.append(await get(each.key, if_token=each.if_token))
            except SwampdError as error:
                answers.append(error)
        return answers

    store.get, store.get_each = get, get_each


def intercept(one: Machine, name: str, before: Any) -> None:
    """Await `before(key, body)` ahead of every such operation of a machine's store."""
    store = one.store._store
    real = getattr(store, name)

    async def operation(key: Any, *rest: Any) -> Any:
        await before(str(key), rest[0] if rest else b"")
        return await real(key, *rest)

    setattr(store, name, operation)


def intercept_each_creation(one: Machine, before: Any) -> None:
    """Await `before(key, body)` ahead of every creation, those of many at once too."""
    intercept(one, "create", before)
    store = one.store._store

    async def create_each(creations: Any, may_send: Any) -> list[Any]:
        answers: list[Any] = [None] * len(creations)

        async def create(number: int) -> None:
            each = creations[number]
            if may_send(number):
                answers[number] = await store.create(each.key, each.body, each.metadata)

        await for_each(range(len(creations)), create, store.capabilities.side_by_side)
        return answers

    store.create_each = create_each


def _raised(outcome: Any) -> Any:
    for error in outcome.failed.values():
        raise error
    return outcome


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@asynccontextmanager
async def machine(home: Path, name: str, place: Place) -> AsyncIterator[Machine]:
    """A machine on the store in this place, running; its state is below `home`."""
    threads = BoundedThreads()
    cache = _made(home / name / "cache")
    store = Counted(place.open(threads))
    keys = Keys(place.prefix)
    layout = Layout(SCHEMA, DATASTORE, "ready", Wid("0" * 32))
    await store._store.create(keys.layout, encode_layout(layout), {})
    journal, _ = open_journal(home / name / "journal.db")
    clock = SystemClock()
    ports = Ports(store, keys, journal, LocalTree.create(cache), clock, SystemRng(), threads)
    identity = Identity(f"user@{name}", name, 1, name, clock.boot_id, "0.1.0")
    workspace = Workspace(ports, identity, DATASTORE, f"cache of {name}", least_free=0)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(workspace.run())
        await workspace.ready.wait()
        try:
            yield Machine(name, workspace, store, cache)
        finally:
            workspace.stop()
            await running
    await journal.close()
    threads.close()


@asynccontextmanager
async def two_machines(home: Path, place: Place) -> AsyncIterator[tuple[Machine, Machine]]:
    """Machines `a` and `b` on one store."""
    async with machine(home, "a", place) as a, machine(home, "b", place) as b:
        yield a, b


async def shown(one: Machine) -> dict[str, tuple[PathState, str]]:
    """What `status` would show of paths: states and details."""
    found = await one.workspace.ports.journal.read(local_ledger.states)
    return {path: (state, detail) for path, _, state, detail in found}


async def conflicts_of(one: Machine) -> list[local_ledger.Conflict]:
    """What waits for a person."""
    return await one.workspace.ports.journal.read(local_ledger.conflicts)


def bytes_kept(one: Machine) -> list[bytes]:
    """The contents of all conflict copies."""
    folder = one.cache / ".swampd" / "conflicts"
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())
