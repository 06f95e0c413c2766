"""The probe: does this store keep what the protocol rests on (section 2)?

Run at set-up and at every start, through two connections, on scratch objects of its own.  Each
check asks for something that must happen or must be refused, and then looks whether it did or was:
an answer alone would not show a store that ignores conditions.  It cannot be switched off.
The last checks are of what a store may lack: then the engine does without (`Lacking`).

Limits: it sees what two connections from one machine can see.  A store that breaks its word only
under load, or between machines, passes.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NoReturn, assert_never

from swampd.domain.outcomes import Applied, Found, Rejected, Unknown
from swampd.domain.values import Wid
from swampd.errors import (
    NotSupported,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
    SwampdError,
)
from swampd.ports import Lacking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from swampd.domain.layout import Keys
    from swampd.domain.outcomes import WriteOutcome
    from swampd.domain.values import RemoteKey, Token
    from swampd.ports import ObjectStore, Rng


class Check(Enum):
    """What is checked, in this order; the value is what a person reads."""

    CREATE = "a new object can be created, and is seen through another connection"
    CREATE_AGAIN = "creating an object that is there is refused"
    REPLACE = "an object can be replaced by its token, and that is seen at once"
    REPLACE_STALE = "replacing with an old token is refused"
    REPLACE_MISSING = "replacing an object that is not there is refused"
    DELETE_STALE = "deleting with an old token is refused"
    COPY = "a copy on the server is refused where its condition does not hold"
    PARTS = "an object sent in parts is refused where something is"


OPTIONAL: Final = frozenset({Check.DELETE_STALE, Check.COPY, Check.PARTS})
"""What a store may lack; deletes on condition it may lack, but not ignore."""


class Verdict(Enum):
    """What came out."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_SUPPORTED = "not supported"
    DENIED = "denied"
    """We may not even try: object lock, or a right that is missing.  What needs it comes to a named
    halt when it is needed."""
    NOT_RUN = "not run"
    """A check before it was broken."""


CLEAN_UP_S: Final = 3.0
"""So long the scratch of a probe may take to go; a store that fell silent keeps it."""
LOSS: Final[Mapping[Check, str]] = {
    Check.CREATE: "what one machine writes, another would not see: its changes would be undone",
    Check.CREATE_AGAIN: "two machines could create one lock or head, and one's files would be lost",
    Check.REPLACE: "no commit could be told from another, and commits would be lost",
    Check.REPLACE_STALE: "two machines could commit over each other, and one's files would be lost",
    Check.REPLACE_MISSING: "a late write could bring back what was deleted",
    Check.DELETE_STALE: "a late delete could remove what another machine has just written",
    Check.COPY: "nothing: large files are sent again instead",
    Check.PARTS: "nothing: large files are sent in one piece instead",
}


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The verdict of each check."""

    store: str
    verdicts: Mapping[Check, Verdict]

    @property
    def refused(self) -> str | None:
        """Why the store must not be used: which check failed, what would be lost.  None: use it."""
        for check, verdict in self.verdicts.items():
            if verdict is Verdict.BROKEN:
                return f"{self.store} does not keep: {check.value}; {LOSS[check]}"
        return None

    def require(self) -> None:
        """Raise errors.StoreRefused for a store that must not be used."""
        if self.refused:
            raise StoreRefused(
                self.refused,
                hint="use a store with conditional writes that are strongly consistent",
                store=self.store,
            )


async def require_kept(
    first: ObjectStore, second: ObjectStore, keys: Keys, rng: Rng
) -> ProbeReport:
    """Probe, and let both go on without what the store lacks.

    Raises errors.StoreRefused for a store that must not be used, and as `probe` does.
    """
    report = await probe(first, second, keys, rng)
    report.require()
    lacking = _lacking(report, first)
    if lacking != Lacking():
        first.narrow(lacking)
        second.narrow(lacking)
    return report


def _lacking(report: ProbeReport, store: ObjectStore) -> Lacking:
    """What the store offers, and does not have or does not keep."""
    gone = {c for c, verdict in report.verdicts.items() if verdict is Verdict.NOT_SUPPORTED}
    offers = store.capabilities
    return Lacking(
        conditional_delete=offers.conditional_delete and Check.DELETE_STALE in gone,
        server_copy=offers.server_copy and Check.COPY in gone,
        parts=store.parts is not None and Check.PARTS in gone,
    )


async def probe(first: ObjectStore, second: ObjectStore, keys: Keys, rng: Rng) -> ProbeReport:
    """Check the store behind two connections, and delete what that left behind.

    Raises errors.StoreUnavailable when an answer stays unclear, and what the store's reads raise.
    """
    run = _Probe(first, second, keys, rng)
    try:
        return await run.report()
    finally:
        await run.clean_up()


@asynccontextmanager
async def _briefly() -> AsyncIterator[None]:
    """Clean up, but not for long, and whatever comes of it."""
    with suppress(SwampdError, TimeoutError):
        async with asyncio.timeout(CLEAN_UP_S):
            yield


class _Broken(Exception):
    """The check under way showed a broken promise."""


class _Probe:
    def __init__(self, first: ObjectStore, second: ObjectStore, keys: Keys, rng: Rng) -> None:
        self._first = first
        self._second = second
        self._rng = rng
        self._key = keys.probe(Wid(rng.uuid()))
        self._absent = keys.probe(Wid(rng.uuid()))
        self._target = keys.probe(Wid(rng.uuid()))
        self._verdicts = dict.fromkeys(Check, Verdict.NOT_RUN)
        self._check = Check.CREATE
        self._left = True
        """Something of it may be in the store."""

    async def report(self) -> ProbeReport:
        """Run the checks until one is broken."""
        with suppress(_Broken):
            await self._run()
        return ProbeReport(self._first.name, self._verdicts)

    async def clean_up(self) -> None:
        """Delete the scratch objects; a store that is away keeps them, and nobody reads them."""
        if not self._left:
            return
        async with _briefly():
            for key in (self._key, self._absent, self._target):
                with suppress(SwampdError):
                    await self._first.delete(key)

    async def _run(self) -> None:
        one, two, key = self._first, self._second, self._key
        body = self._begin(Check.CREATE)
        try:
            outcome = await one.create(key, body, {})
        except SwampdError:  # it did not land
            self._left = False
            raise
        old = await self._must_land(outcome, two, body)

        rival = self._begin(Check.CREATE_AGAIN)
        await self._must_bounce(await two.create(key, rival, {}), one, key, body)

        body = self._begin(Check.REPLACE)
        token = await self._must_land(await two.replace(key, body, old, {}), one, body)
        if token == old:
            self._fail()

        rival = self._begin(Check.REPLACE_STALE)
        await self._must_bounce(await one.replace(key, rival, old, {}), two, key, body)

        rival = self._begin(Check.REPLACE_MISSING)
        absent = self._absent
        await self._must_bounce(await two.replace(absent, rival, token, {}), one, absent, None)

        self._begin(Check.DELETE_STALE)
        if not one.capabilities.conditional_delete:
            self._verdicts[self._check] = Verdict.NOT_SUPPORTED
        else:
            await self._stale_delete(key, old, body)
        for check, attempt in ((Check.COPY, self._copies), (Check.PARTS, self._parts)):
            self._begin(check)
            try:
                kept = await attempt(key, old, body)
            except NotSupported:
                kept = False
            self._verdicts[check] = Verdict.KEPT if kept else Verdict.NOT_SUPPORTED

    async def _stale_delete(self, key: RemoteKey, old: Token, body: bytes) -> None:
        try:
            outcome = await self._first.delete_if(key, old)
        except NotSupported:
            self._verdicts[self._check] = Verdict.NOT_SUPPORTED
            return
        except StoreDenied as error:
            if error.code != StoreDenied.code:
                raise
            self._verdicts[self._check] = Verdict.DENIED
            return
        await self._must_bounce(outcome, self._second, key, body)

    async def _copies(self, key: RemoteKey, old: Token, body: bytes) -> bool:
        """Does a copy land where it may, and nowhere else?"""
        one, two = self._first, self._second
        if not one.capabilities.server_copy:
            return False
        if not isinstance(await one.copy_to(key, self._target, None, {"probe": "1"}), Applied):
            return False
        found = await two.get(self._target)
        if not (isinstance(found, Found) and found.body == body and "probe" in found.metadata):
            return False
        again = await two.copy_to(key, self._target, None, {})
        stale = await one.copy_to(key, self._target, old, {})
        after = await two.head(self._target)
        kept = isinstance(after, Found) and "probe" in after.metadata
        return kept and isinstance(again, Rejected) and isinstance(stale, Rejected)

    async def _parts(self, key: RemoteKey, _: Token, body: bytes) -> bool:
        """Is an object in parts refused where something is?"""
        parts = self._first.parts
        if parts is None:
            return False
        upload = await parts.begin(key, {})
        try:
            part = await parts.send(key, upload, 1, body + b"in parts")
            outcome = await parts.complete(key, upload, [part])
        finally:
            async with _briefly():
                await parts.abort(key, upload)
        found = await self._second.get(key)
        kept = isinstance(found, Found) and found.body == body
        return kept and isinstance(outcome, Rejected)

    def _begin(self, check: Check) -> bytes:
        """Go on to a check; bytes that were never written before."""
        self._check = check
        return f"swampd probe {self._rng.uuid()}\n".encode()

    def _fail(self) -> NoReturn:
        self._verdicts[self._check] = Verdict.BROKEN
        raise _Broken

    async def _must_land(self, outcome: WriteOutcome, reader: ObjectStore, body: bytes) -> Token:
        """The token that the write gave the object, as another connection reads it."""
        found = await reader.get(self._key)
        landed = isinstance(found, Found) and found.body == body
        match outcome:
            case Applied(token):
                agreed = landed and isinstance(found, Found) and found.token == token
            case Unknown(reason):
                if not landed:
                    raise self._unclear(reason)
                agreed = True
            case Rejected(raced=True):
                raise self._unclear("somebody else writes there")
            case Rejected():
                agreed = False
            case _:  # pragma: no cover
                assert_never(outcome)
        if not agreed or not isinstance(found, Found):
            self._fail()
        self._verdicts[self._check] = Verdict.KEPT
        return found.token

    async def _must_bounce(
        self, outcome: WriteOutcome, reader: ObjectStore, key: RemoteKey, body: bytes | None
    ) -> None:
        """The write is refused, and the object is as it was (None: not there)."""
        found = await reader.get(key)
        before = found.body == body if isinstance(found, Found) else body is None
        if isinstance(outcome, Applied) or not before:
            self._fail()
        if isinstance(outcome, Unknown):
            raise self._unclear(outcome.reason)
        self._verdicts[self._check] = Verdict.KEPT

    def _unclear(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._first.name}: cannot tell whether {self._check.value}: {reason}",
            hint="the store's network or service is in the way; try again",
            store=self._first.name,
        )
