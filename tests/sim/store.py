"""The store of a simulated world: the real memory store behind a network that misbehaves.

A request travels, is applied, and its answer travels back.  Faults: the request is lost, the answer
is lost, the request is applied late (up to 15 minutes after it was sent, whatever became of its
sender), a clear failure.  Every applied mutation is in `log`, which the checkers read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from swampd.domain.layout import Keys
from swampd.domain.outcomes import Applied, Found, Unknown
from swampd.errors import StoreDenied, StoreUnavailable, SwampdError
from swampd.ports import SealedFile
from swampd.waiting import for_each
from tests.sim.calls import Call, Calls
from tests.sim.parts import SimParts, Uploads

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from random import Random

    from swampd.domain.outcomes import Mismatch, Missing, Page, Unchanged, WriteOutcome
    from swampd.domain.values import RemoteKey, Token
    from swampd.ports import Body, Creation, Lacking, MaySend, Read, Sink, StoreCapabilities, Wanted
    from swampd.stores.memory import MemoryObjects
    from tests.sim.world import Life

A = TypeVar("A")
LATEST_S = 900.0
"""S3 refuses a signature older than 15 minutes."""
CHUNK = 16
"""A body that is streamed comes in pieces of so many bytes."""
REGISTERS = (Keys().locks, Keys().heads)
MADE_THERE = ("copy", "complete")
"""Writes whose bytes the store has already."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A write that changed the store."""

    number: int
    time: float
    sent_at: float
    sent_local: float
    node: str
    life: int
    operation: str
    key: str
    body: bytes | None
    metadata: Mapping[str, str]


@dataclass(slots=True)
class Faults:
    """How often what goes wrong; all zero in quiet times."""

    lost_request: float = 0.0
    lost_reply: float = 0.0
    late: float = 0.0
    failed: float = 0.0
    slow: float = 0.0
    cut_at_head: float = 0.0
    """The machine is cut off just when it has sent a head, which lands late."""
    sleep_at_head: float = 0.0
    """The machine goes to sleep just when it has sent a head, and misses the answer."""
    lurks: bool = False
    """A head that is late lands just after another machine has read the one before it."""
    cut_s: tuple[float, float] = (20.0, 50.0)
    """It is cut off for so long."""
    late_s: float = LATEST_S
    """What is late lands within so many seconds."""


@dataclass(slots=True)
class Network:
    """The one way to the store, and what happened there."""

    objects: MemoryObjects
    rng: Random
    faults: Faults = field(default_factory=Faults)
    log: list[Mutation] = field(default_factory=list)
    first_sent: dict[bytes, float] = field(default_factory=dict)
    """When these bytes of a lock were sent first, by their sender's clock."""
    spoilt: set[str] = field(default_factory=set)
    """Heads that were put back, damaged or deleted for a while."""
    denies_plain: bool = False
    """Plain keys may be created, and neither overwritten nor deleted."""
    lurking: dict[str, list[tuple[str, Callable[[], None]]]] = field(default_factory=dict)
    """Heads that are late, by key: whose, and what lands them."""
    watchers: list[Callable[[], None]] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    requests: int = 0
    """So many were sent."""
    calls: Calls = field(default_factory=Calls)
    writes_in_parts: bool = False
    uploads: Uploads = field(init=False)

    def __post_init__(self) -> None:
        """The uploads are to the same bucket."""
        self.uploads = Uploads(self.objects)


class SimStore:
    """One daemon's connection."""

    def __init__(self, network: Network, life: Life) -> None:
        self._net = network
        self._life = life
        self._loop = life.world.loop
        self.name = "simulated"

    @property
    def capabilities(self) -> StoreCapabilities:
        return self._net.objects.capabilities

    @property
    def parts(self) -> SimParts | None:
        return SimParts(self, self._net.uploads) if self._net.writes_in_parts else None

    def narrow(self, lacking: Lacking) -> None:
        raise AssertionError(lacking)

    def _is_cut_at(self, key: RemoteKey) -> bool:
        """Does an outage begin with this request?"""
        chance = self._net.faults.cut_at_head
        if not chance or "/heads/" not in key or self._net.rng.random() >= chance:
            return False
        self._life.node.cut_until = self._loop.now + self._net.rng.uniform(*self._net.faults.cut_s)
        return True

    def _sleeps_at(self, key: RemoteKey) -> bool:
        """Does the machine go to sleep with this request?"""
        chance = self._net.faults.sleep_at_head
        if not chance or "/heads/" not in key or self._net.rng.random() >= chance:
            return False
        self._life.node.pause(self._net.rng.uniform(40.0, 90.0))
        return True

    @property
    def _cut(self) -> bool:
        return self._life.node.cut_until > self._loop.now

    def _noted(
        self,
        what: str,
        key: RemoteKey,
        asked: Coroutine[Any, Any, A],
        *,
        body: bytes | None = None,
        token: Token | None = None,
    ) -> Coroutine[Any, Any, A]:
        """A request on a register is remembered, with what its client is told."""
        calls = self._net.calls
        if not key.startswith(REGISTERS):
            return asked
        return calls.note(Call(self._life.name, what, key, self._loop.now, body, token), asked)

    # --- reads --------------------------------------------------------------------------------

    async def _read(self, what: str, key: str, read: Callable[[], A]) -> A:
        net, life = self._net, self._life
        net.requests += 1
        await life.delay(self._travel())
        if self._cut or net.rng.random() < net.faults.failed + net.faults.lost_request:
            await life.delay(net.rng.uniform(0.1, 3.0))
            raise StoreUnavailable("no answer", "try again")
        answer = read()
        net.trace.append(f"{self._loop.now:.6f} {life.name} {what} {key} -> {_short(answer)}")
        self._stir(key)
        await life.delay(self._travel())
        return answer

    async def get(
        self, key: RemoteKey, *, if_token: Token | None = None, sink: Sink | None = None
    ) -> Found | Missing | Mismatch:
        asked = self._read("get", key, lambda: self._net.objects.get(key, if_token))
        answer = await self._noted("get", key, asked, token=if_token)
        if sink is not None and isinstance(answer, Found):
            for start in range(0, answer.size, CHUNK):
                sink(answer.body[start : start + CHUNK])
        return answer

    async def get_each(self, wanted: Sequence[Wanted]) -> Sequence[Read | SwampdError]:
        answers: dict[int, Read | SwampdError] = {}

        async def one(number: int) -> None:
            asked = wanted[number]
            try:
                answers[number] = await self.get(asked.key, if_token=asked.if_token)
            except SwampdError as error:
                answers[number] = error

        await for_each(range(len(wanted)), one, self.capabilities.side_by_side)
        return [answers[number] for number in range(len(wanted))]

    async def get_if_changed(self, key: RemoteKey, token: Token) -> Found | Missing | Unchanged:
        asked = self._read("get?", key, lambda: self._net.objects.get_if_changed(key, token))
        return await self._noted("get?", key, asked, token=token)

    async def head(self, key: RemoteKey) -> Found | Missing:
        asked = self._read("head", key, lambda: self._net.objects.head(key))
        return await self._noted("head", key, asked)

    async def list(self, prefix: RemoteKey, after: str | None = None) -> Page:
        asked = self._read("list", prefix, lambda: self._net.objects.list(prefix, after))
        return await self._noted("list", prefix, asked)

    # --- writes -------------------------------------------------------------------------------

    async def write(
        self,
        what: str,
        key: RemoteKey,
        body: bytes | None,
        metadata: Mapping[str, str],
        write: Callable[[], A],
    ) -> A | Unknown:
        """Send a request that changes the store, and wait for its answer: Unknown where none
        comes.  What it wrote is looked up where the request does not carry it."""
        net, life, loop = self._net, self._life, self._loop
        net.requests += 1
        life.check()
        await self._before(what, key)
        sent_at, sent_local = loop.now, life.clock.now()
        if body is not None and "/locks/" in key:
            net.first_sent.setdefault(body, sent_local)
        answer: asyncio.Future[A] = loop.create_future()
        fault = net.rng.random()
        faults = net.faults
        travel = self._travel()
        if self._cut or fault < faults.lost_request:
            net.trace.append(f"{loop.now:.6f} {life.name} {what} {key} lost")
            return await self._no_answer("the request was lost")
        fault -= faults.lost_request
        late = fault < faults.late or self._is_cut_at(key)
        if late:
            travel = net.rng.uniform(min(1.0, faults.late_s / 10), faults.late_s)
        fault -= faults.late if late else 0.0

        def apply() -> None:
            outcome = write()
            net.trace.append(f"{loop.now:.6f} {life.name} {what} {key} -> {_short(outcome)}")
            if isinstance(outcome, Applied):
                stored = net.objects.look(key) if what in MADE_THERE else None
                net.log.append(
                    Mutation(
                        len(net.log),
                        loop.now,
                        sent_at,
                        sent_local,
                        life.node.name,
                        life.number,
                        what,
                        key,
                        body if stored is None else stored.body,
                        dict(metadata if stored is None else stored.metadata),
                    )
                )
            for watcher in net.watchers:
                watcher()
            if not answer.done():
                answer.set_result(outcome)

        self._land(key, travel, apply, lurks=late and faults.lurks)
        if late:
            self._after_late(key)
            return await self._no_answer("late")
        lost_reply = net.rng.random() < faults.lost_reply or self._sleeps_at(key)
        outcome = await life.wait(answer)
        if lost_reply or self._cut:
            return await self._no_answer("the answer was lost")
        await life.delay(self._travel())
        return outcome

    def _land(
        self, key: RemoteKey, travel: float, apply: Callable[[], None], *, lurks: bool
    ) -> None:
        """Apply it after so long, or, if it lurks, when another machine has read what it is for."""
        if not lurks or "/heads/" not in key:
            self._loop.call_later(travel, apply)
            return
        waits = [apply]

        def land() -> None:
            if waits:
                waits.pop()()

        self._loop.call_later(travel, land)
        self._net.lurking.setdefault(key, []).append((self._life.node.name, land))

    def _stir(self, key: str) -> None:
        """What lurks of other machines lands just after this read."""
        lurking = self._net.lurking.pop(key, [])
        mine = [one for one in lurking if one[0] == self._life.node.name]
        if mine:
            self._net.lurking[key] = mine
        for node, land in lurking:
            if node != self._life.node.name:
                self._loop.call_later(self._net.rng.uniform(0.02, 0.3), land)

    def _after_late(self, key: RemoteKey) -> None:
        """What befalls the sender of a request that will land late."""
        if "/heads/" in key:
            self._life.node.at_head(sent=True)

    async def _before(self, what: str, key: RemoteKey) -> None:
        """What befalls a request before it is sent."""
        if "/heads/" in key:
            self._life.node.at_head(sent=False)
        if self._net.denies_plain and what != "create" and not key.startswith("_control/"):
            await self._life.delay(self._travel())
            raise StoreDenied(f"{what} is denied", "give the right")

    async def _no_answer(self, why: str) -> Unknown:
        await self._life.delay(self._net.rng.uniform(0.2, 5.0))
        return Unknown(why)

    async def put(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        raw = self._bytes(body)
        asked = self.write(
            "put", key, raw, metadata, lambda: self._net.objects.put(key, raw, metadata)
        )
        return await self._noted("put", key, asked, body=raw)

    async def create(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        raw = self._bytes(body)
        asked = self.write(
            "create", key, raw, metadata, lambda: self._net.objects.create(key, raw, metadata)
        )
        return await self._noted("create", key, asked, body=raw)

    async def create_each(
        self, creations: Sequence[Creation], may_send: MaySend
    ) -> Sequence[WriteOutcome | SwampdError | None]:
        answers: dict[int, WriteOutcome | SwampdError | None] = {}

        async def one(number: int) -> None:
            each = creations[number]
            try:
                sent = may_send(number)
                args = (each.key, each.body, each.metadata)
                answers[number] = await self.create(*args) if sent else None
            except SwampdError as error:
                answers[number] = error

        await for_each(range(len(creations)), one, self.capabilities.side_by_side)
        return [answers[number] for number in range(len(creations))]

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> WriteOutcome:
        raw = self._bytes(body)
        asked = self.write(
            "replace",
            key,
            raw,
            metadata,
            lambda: self._net.objects.replace(key, raw, token, metadata),
        )
        return await self._noted("replace", key, asked, body=raw, token=token)

    async def delete(self, key: RemoteKey) -> WriteOutcome:
        return await self.write("delete", key, None, {}, lambda: self._net.objects.delete(key))

    async def delete_if(self, key: RemoteKey, token: Token) -> WriteOutcome:
        return await self.write(
            "delete_if", key, None, {}, lambda: self._net.objects.delete_if(key, token)
        )

    async def copy_to(
        self,
        source: RemoteKey,
        target: RemoteKey,
        token: Token | None,
        metadata: Mapping[str, str],
    ) -> WriteOutcome:
        return await self.write(
            "copy",
            target,
            None,
            metadata,
            lambda: self._net.objects.copy_to(source, target, token, metadata),
        )

    async def close(self) -> None:
        """Nothing to let go of."""

    def _travel(self) -> float:
        slow = self._net.faults.slow
        if slow and self._net.rng.random() < slow:
            return self._net.rng.uniform(0.5, 12.0)
        return self._net.rng.uniform(0.002, 0.08)

    def _bytes(self, body: Body) -> bytes:
        if isinstance(body, SealedFile):
            return self._life.node.tree.sealed_part(body, 0, body.size)
        return body


def _short(answer: object) -> str:
    if isinstance(answer, Found):
        return f"found {answer.token.e_tag[:6]}"
    return type(answer).__name__
