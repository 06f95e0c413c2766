"""A simulated world: a store, machines with a disk and a clock each, daemons that come and go.

Only ports are simulated: every `Life` wires the product's own `Workspace` to them.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, TypeVar

from swampd.domain.codec import encode_layout
from swampd.domain.layout import SCHEMA, Keys, Layout
from swampd.domain.leases import Identity
from swampd.domain.sizes import SIZES, Sizes
from swampd.domain.values import BootId, DatastoreId, Wid
from swampd.errors import SwampdError
from swampd.ports import StoreCapabilities
from swampd.stores.memory import Dialect, MemoryObjects
from swampd.workspace import Ports, Workspace
from tests.sim.foreign import Foreigner
from tests.sim.journal import JournalDisk, SimJournal
from tests.sim.loop import running_loop
from tests.sim.store import Network, SimStore
from tests.sim.tree import SimTree

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

T = TypeVar("T")
DATASTORE = DatastoreId("d" * 32)
START_AGAIN_S = 1.0
EPOCH_S = 100.0
"""What a machine's clock shows at the start of a run, if it is not off."""


class SimClock:
    """A machine's clock: off by some seconds, running a little fast or slow, through pauses."""

    def __init__(self, life: Life, offset: float, rate: float) -> None:
        self._life = life
        self._loop = life.world.loop
        self._offset = offset
        self._rate = rate

    @property
    def boot_id(self) -> BootId:
        return self._life.node.boot_id

    def now(self) -> float:
        return self._loop.now * self._rate + self._offset

    def wall_ms(self) -> int:
        return int((1_750_000_000 + self._offset + self._loop.now * self._rate) * 1000)

    async def sleep(self, seconds: float) -> None:
        await self._life.delay(max(seconds, 0.0) / self._rate)


class SimRng:
    """Chance from the seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def uuid(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"

    def uniform(self, low: float, high: float) -> float:
        return self._rng.uniform(low, high)


class SimThreads:
    """Work is done in one go after a seeded delay; the tree's hook interleaves users within it."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def io(self, work: Callable[[], T]) -> T:
        await self._life.delay(self._life.world.rng.uniform(0.0, 0.004))
        result = work()
        # A death in the middle of the work (the tree's hook) has ended it by now.
        await self._life.go_on()
        return result

    async def cpu(self, work: Callable[[], T]) -> T:
        return await self.io(work)


class SimWorkspace(Workspace):
    """What breaks in the background is a finding here, not only a line in the log."""

    life: Life

    async def _guarded(self, work: Coroutine[object, object, None], name: str) -> None:
        async def watched() -> None:
            try:
                await work
            except SwampdError:
                raise
            except Exception as error:
                self.life.world.broken.append(error)
                raise

        await super()._guarded(watched(), name)


class Life:
    """One daemon process: dead, every port it has is gone."""

    def __init__(self, node: Node, number: int) -> None:
        self.node = node
        self.world = node.world
        self._loop = node.world.loop
        self.number = number
        self.name = f"{node.name}.{number}"
        self.dead = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.clock = SimClock(self, node.offset, node.rate)
        ports = node.make_ports(self)
        self.store = ports.store
        self.identity = Identity(
            f"user@{node.name}", node.name, number, node.name, node.boot_id, "0"
        )
        datastore, name = node.world.datastore_id, f"cache-{node.name}"
        self.workspace = SimWorkspace(ports, self.identity, datastore, name, least_free=1)
        self.workspace.life = self

    def check(self) -> None:
        """A dead process does nothing more."""
        if self.dead:
            raise asyncio.CancelledError

    async def delay(self, seconds: float) -> None:
        """Time passes, and a paused machine does not go on before its pause is over."""
        if self.dead:
            raise asyncio.CancelledError
        await self._loop.sleep(seconds)
        await self.go_on()

    async def go_on(self) -> None:
        """What was waited for is there: a paused machine sees it when its pause is over."""
        loop, node = self._loop, self.node
        while node.paused_until > loop.now:
            await loop.sleep(node.paused_until - loop.now)
        if self.dead:
            raise asyncio.CancelledError

    async def wait(self, future: Awaitable[T]) -> T:
        """Wait for an answer from the world."""
        result = await future
        await self.go_on()
        return result

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that dies with this process."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def kill(self) -> None:
        """The process is gone, at this instant."""
        self.dead = True
        for task in sorted(self.tasks, key=hash):
            task.cancel()


def sim_ports(life: Life) -> Ports:
    """The ports of a daemon, all of them simulated."""
    world = life.world
    return Ports(
        SimStore(world.network, life),
        world.keys,
        SimJournal(life),
        life.node.tree,
        life.clock,
        SimRng(random.Random(world.rng.getrandbits(64))),
        SimThreads(life),
        world.sizes,
    )


class Node:
    """A machine: its disk outlives its daemons."""

    def __init__(self, world: World, name: str, offset: float, rate: float) -> None:
        self.world = world
        self.name = name
        self.offset = offset
        self.rate = rate
        self.boot_id = BootId(f"boot-{name}-0")
        self.boots = 0
        self.paused_until = 0.0
        self.cut_until = 0.0
        """Until then nothing of it reaches the store, and no answer comes back."""
        self.pauses: list[tuple[float, float]] = []
        self.tree = SimTree(
            lambda: int(world.time * 1e9) + 1_700_000_000_000_000_000,
            seal_above=world.sizes.stream_above,
        )
        self.disk = JournalDisk()
        self.lives = 0
        self.life: Life | None = None
        self.make_ports = sim_ports
        """What its daemons are given for ports."""
        self.at_head: Callable[..., None] = lambda **_: None
        """Called just before a head is sent from here, and after one that will be late was."""

    def pause(self, seconds: float) -> None:
        """Stand still for a while, as in suspend."""
        until = self.world.time + seconds
        if until > self.paused_until:
            self.pauses.append((max(self.world.time, self.paused_until), until))
            self.paused_until = until

    def slept(self, now: float) -> float:
        """How long it stood still in all."""
        return sum(min(end, now) - begin for begin, end in self.pauses)

    def start(self) -> Life:
        """Start the daemon, if none runs."""
        return self.life or self.serve(self.wake())

    def wake(self) -> Life:
        """A new process, which does nothing by itself yet."""
        self.tree.reopen()
        self.lives += 1
        self.life = Life(self, self.lives)
        self.world.boots[self.name, self.lives] = self.boot_id
        return self.life

    def serve(self, life: Life) -> Life:
        """It serves its cache."""
        life.spawn(self._serve(life))
        return life

    async def _serve(self, life: Life) -> None:
        """One life; where the disk does not let it begin, somebody asks again soon."""
        try:
            await life.workspace.run()
        except* SwampdError:
            if self.life is life:
                self.life = None
                life.kill()
                asyncio.get_running_loop().call_later(START_AGAIN_S, self.start)

    def crash(self, *, power: bool) -> None:
        """kill -9, or a power cut of the whole machine (another boot)."""
        self.kill()
        lose = power and self.world.rng.random() < 0.7
        if power:
            self.reboot()
        kept = self.world.rng.randint(0, self.tree.unsynced) if lose else 0
        self.tree.crash(lose=lose, kept=kept)
        self.disk.crash(lose=lose)

    def kill(self) -> None:
        """The process is gone."""
        if self.life is not None:
            self.life.kill()
        self.life = None

    def reboot(self) -> None:
        """What comes next is another boot."""
        self.boots += 1
        self.boot_id = BootId(f"boot-{self.name}-{self.boots}")


def _tiny_sizes(chances: random.Random) -> Sizes:
    """Limits such that all files but pointers are large, or most, or some."""
    above = chances.choice((12, 20, 30))
    return Sizes(together=above, stream_above=above, part=chances.choice((10, 25)))


class World:
    """Everything of one run."""

    def __init__(
        self,
        seed: int,
        nodes: int,
        dialect: Dialect | None = None,
        conditional_delete: float = 0.8,
        write_interval_s: float = 0.0,
        *,
        large: bool = False,
        sizes: Sizes = SIZES,
    ) -> None:
        self.loop = running_loop()
        self.seed = seed
        self.rng = random.Random(seed)
        self.deaths = random.Random(~seed)
        """Deaths between two steps have chances of their own."""
        self.foreign = Foreigner(seed)
        self.broken: list[Exception] = []
        """What broke in the background of some daemon."""
        self.busy = False
        """Users and faults are about."""
        self.datastore_id = DATASTORE
        """What its layout says."""
        self.set_up = True
        """False: nobody has made a layout yet."""
        self.boots: dict[tuple[str, int], BootId] = {}
        """The boot of each life, by machine and number."""
        if write_interval_s:
            dialect = Dialect.GCS
        if dialect is None:
            dialect = self.rng.choice((Dialect.S3, Dialect.GCS))
        conditional = self.rng.random() < conditional_delete
        chances = random.Random(f"large {seed}")
        self.large = large
        """Its files count as large: they go in parts and through sealed copies."""
        self.sizes = _tiny_sizes(chances) if self.large else sizes
        copies = not self.large or chances.random() < 0.7
        able = StoreCapabilities(
            conditional, server_copy=copies, least_write_interval_s=write_interval_s
        )
        objects = MemoryObjects(dialect, able)
        self.keys = Keys()
        layout = Layout(SCHEMA, DATASTORE, "ready", Wid("0" * 32))
        objects.create(self.keys.layout, encode_layout(layout), {})
        in_parts = self.large and chances.random() < 0.75
        self.network = Network(objects, self.rng, writes_in_parts=in_parts)
        self.nodes = [
            Node(
                self,
                f"m{i}",
                EPOCH_S + self.rng.uniform(-20, 20),
                1 + self.rng.uniform(-0.005, 0.005),
            )
            for i in range(nodes)
        ]

    @property
    def time(self) -> float:
        """True time, in seconds."""
        return self.loop.now
