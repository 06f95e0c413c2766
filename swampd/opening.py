"""From what a client names (a repo, a store) to a workspace that can be served.

config -> cache -> store -> layout -> probe -> cache lock -> journal -> tree.  What fails is an
error that says what to do, and leaves nothing open.

Keeps true: a lease of the life before is kept only when boot and lock file are those that the
journal names (section 3, restart); another datastore_id than before is a halt (section 7).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from swampd import locations
from swampd.cache.tree import LocalTree
from swampd.cachelock import CacheLock
from swampd.config.repo import load_repo
from swampd.domain.datastores import CloudEnvironment, identity
from swampd.domain.markers import decode_marker
from swampd.domain.states import Halt
from swampd.environments import completed
from swampd.errors import BadRequest, Halted, StoreUnavailable, UnsafeLocation
from swampd.journal.database import open_journal
from swampd.journal.opening import Quarantined
from swampd.layouts import require_layout
from swampd.stores.probe import require_kept
from swampd.stores.registry import open_store
from swampd.stores.retrying import Again, RetryingStore
from swampd.stores.watched import WatchedStore
from swampd.workspace import Ports, Workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from swampd.config.repo import RepoConfig
    from swampd.domain.layout import Layout
    from swampd.domain.leases import Identity
    from swampd.domain.values import DatastoreId
    from swampd.instance import Instance
    from swampd.journal.database import SqliteJournal
    from swampd.ports import Clock, Rng, Threads, Transaction

JOURNALS: Final = "journals"
STORE_S: Final = 45.0
"""So long the store may take to show its layout and to pass the probe."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Choice:
    """Which repo a client means, what it said about the store, and about itself."""

    repo: str
    variable: str = ""
    option: str = ""
    environment: CloudEnvironment | None = None
    """What it said of its environment; None: nothing."""
    session: str = ""


@dataclass(frozen=True, slots=True)
class Located:
    """A repo's configuration, and the real path of its cache."""

    config: RepoConfig
    cache: Path
    environment: CloudEnvironment
    """With which its store is opened."""
    said_who: bool
    """Did the client say so, or is this what the daemon has?"""

    @property
    def store_place(self) -> str:
        """What tells one store from another."""
        return self.config.datastore.place

    @property
    def identity(self) -> str:
        """Who the client is to this store."""
        return identity(self.config.datastore.settings, self.environment)


@dataclass(slots=True)
class Opened:
    """An opened workspace, and what has to be closed after it."""

    located: Located
    workspace: Workspace
    store: WatchedStore
    datastore_id: DatastoreId
    quarantined: str
    exit: AsyncExitStack


@dataclass(frozen=True, slots=True)
class World:
    """What all workspaces of the daemon share."""

    instance: Instance
    identity: Identity
    environ: Mapping[str, str]
    clock: Clock
    rng: Rng
    threads: Threads
    store_threads: Threads
    """Apart from `threads`: a share that hangs must not stop the work on the cache."""


async def locate(world: World, choice: Choice) -> Located:
    """Read the repo's configuration.  Raises NoRepo, ConfigError, NotBuilt, BadRequest."""
    repo = Path(choice.repo)
    if not repo.is_absolute() or "\0" in choice.repo:
        raise BadRequest(f"the repo {choice.repo!r} is not an absolute path", "name it from / on")
    environment = completed(choice.environment, choice.session, world.environ)

    def read() -> Located:
        config = load_repo(
            repo,
            world.environ,
            variable=choice.variable or None,
            option=choice.option or None,
        )
        cache = locations.repo_cache(config.repo_id, world.environ)
        return Located(config, cache.resolve(), environment, choice.environment is not None)

    return await world.threads.io(read)


async def open_workspace(world: World, located: Located) -> Opened:
    """Open everything.

    Raises NoLayout, NotADatastore, SchemaTooNew, StoreRefused, StoreUnavailable, StoreDenied,
    CacheInUse, JournalTooNew, JournalFailed, Halted (another datastore), UnsafeLocation.
    """
    threads, chosen = world.threads, located.config.datastore
    keys, environment = chosen.keys, located.environment
    async with AsyncExitStack() as opening:
        store = WatchedStore(
            open_store(chosen.settings, environment, world.store_threads), world.clock
        )
        opening.push_async_callback(store.close)
        layout = await _checked(world, located, store)
        opening.callback((await threads.io(lambda: CacheLock.take(located.cache))).close)
        journal, quarantined = await _journal(world, located.cache)
        opening.push_async_callback(journal.close)
        tree = await threads.io(lambda: _tree(located.cache))
        opening.callback(tree.close)
        await _refuse_other_datastore(threads, journal, tree, layout.datastore_id)
        name = await journal.write(lambda tx: _settle(tx, world, layout.datastore_id))
        asked_again = RetryingStore(store, Again(world.clock, world.rng))
        ports = Ports(asked_again, keys, journal, tree, world.clock, world.rng, threads)
        workspace = Workspace(ports, world.identity, layout.datastore_id, name)
        log.info("workspace_opened", cache=str(located.cache), store=str(chosen))
        return Opened(
            located, workspace, store, layout.datastore_id, quarantined, opening.pop_all()
        )


async def _checked(world: World, located: Located, store: WatchedStore) -> Layout:
    """The layout of a store that passes the probe, in bounded time."""
    chosen = located.config.datastore
    second = open_store(chosen.settings, located.environment, world.store_threads)
    try:
        async with shown_in_time(store.name, "it is tried again"):
            layout = await require_layout(store, chosen.keys)
            await require_kept(store, second, chosen.keys, world.rng)
    finally:
        await second.close()
    return layout


@asynccontextmanager
async def shown_in_time(store: str, hint: str) -> AsyncIterator[None]:
    """The block asks a store for its layout, and probes it.  Raises StoreUnavailable when it takes
    longer than it may."""
    try:
        async with asyncio.timeout(STORE_S):
            yield
    except TimeoutError as error:
        raise StoreUnavailable(
            f"{store} did not show within {STORE_S:.0f} s what it keeps",
            f"its network or service is slow or in the way; {hint}",
            store=store,
        ) from error


def _tree(cache: Path) -> LocalTree:
    try:
        return LocalTree.create(cache)
    except OSError as error:
        raise UnsafeLocation(
            f"the cache {cache} cannot be opened: {error}", "see who owns it", path=str(cache)
        ) from error


def journal_path(state: Path, cache: Path) -> Path:
    """Where the journal of a cache is."""
    digest = hashlib.sha256(os.fsencode(cache)).hexdigest()[:16]
    return state / JOURNALS / f"{cache.name[:80]}-{digest}.db"


async def _journal(world: World, cache: Path) -> tuple[SqliteJournal, str]:
    path = journal_path(world.instance.state, cache)

    def work() -> tuple[SqliteJournal, str]:
        locations.ensure_private_dir(path.parent)
        journal, opened = open_journal(path)
        return journal, str(opened.where) if isinstance(opened, Quarantined) else ""

    journal, quarantined = await world.threads.io(work)
    if quarantined:
        log.error("journal_quarantined", where=quarantined, cache=str(cache))
    return journal, quarantined


# --- what the journal must agree with -----------------------------------------------------------


async def _refuse_other_datastore(
    threads: Threads, journal: SqliteJournal, tree: LocalTree, now: DatastoreId
) -> None:
    raw = await threads.io(tree.marker)
    marker = decode_marker(raw) if raw is not None else None
    known = await journal.read(lambda tx: _meta(tx, "datastore_id"))
    for before in (known, marker.datastore_id if marker is not None else None):
        if before is not None and before != now:
            raise Halted(
                f"this cache belongs to the datastore {before}, and the store is now {now}",
                Halt.DATASTORE_CHANGED.way_out,
                halt=Halt.DATASTORE_CHANGED.value,
                before=str(before),
                now=now,
            )


def _settle(tx: Transaction, world: World, datastore_id: DatastoreId) -> str:
    """Bring `meta` up to date; the workspace's name, which is as old as the journal.

    (A fresh journal has a fresh name, so the marker of its predecessor never fits it.)
    """
    here = {
        "boot_id": world.instance.boot_id,
        "lock_device": str(world.instance.device),
        "lock_inode": str(world.instance.inode),
    }
    if {key: _meta(tx, key) for key in here} != here:
        tx.execute("DELETE FROM lock_nonce")
        tx.execute("DELETE FROM hold")
    name = _meta(tx, "workspace") or world.rng.uuid()
    for key, value in {**here, "datastore_id": datastore_id, "workspace": name}.items():
        tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
    return name


def _meta(tx: Transaction, key: str) -> Any:
    return next(
        (value for (value,) in tx.execute("SELECT value FROM meta WHERE key = ?", (key,))), None
    )
