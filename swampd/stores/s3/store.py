"""`S3Store`: a bucket as the port `ObjectStore` wants it.

What decides is sent through boto3, what is many and small through obstore:

| request | by |
|---|---|
| lock, head, layout; replace; delete; copy; list; head | boto3: the answer's code decides |
| create of few bytes elsewhere; get of an object that is not large | obstore |
| a larger body; a get into a sink; parts | boto3: no limit on the whole, and it can be cut off |
| any key that obstore does not spell as we do | boto3 |

Locks, heads and layout have threads of their own: a renewal never waits for contents.

Keeps section 2: each request is sent once.  Keeps L7: between the caller's asking for the right to
send and the sending nothing is waited for.  Credentials that the service refuses are looked up
anew; a read, of which nothing came, is asked again with them, a write is the caller's to repeat.

Limits: a token is the ETag, which comes back when the bytes do; versions of a bucket are not used.
"""

from __future__ import annotations

import resource
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TypeVar

from swampd.domain.health import StoreIdentity
from swampd.domain.layout import CONTROL
from swampd.domain.outcomes import Mismatch, Unchanged
from swampd.domain.paths import KEY_LIMIT
from swampd.errors import CredentialsRefused, KeyRefused, StoreUnavailable
from swampd.ports import SealedFile, StoreCapabilities
from swampd.stores.each import Leave, share_out
from swampd.stores.s3.answers import from_boto
from swampd.stores.s3.calls import Call, Calls
from swampd.stores.s3.control import FAILURES, Control
from swampd.stores.s3.credentials import FIRST, Chain
from swampd.stores.s3.faults import Action, Faults
from swampd.stores.s3.parts import Parts
from swampd.stores.s3.payload import Payload, can_spell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swampd.domain.datastores import CloudEnvironment, S3Settings
    from swampd.domain.outcomes import Found, Missing, Page, WriteOutcome
    from swampd.domain.values import RemoteKey, Token
    from swampd.errors import SwampdError
    from swampd.ports import Body, Creation, Lacking, MaySend, Read, Sink, Wanted

    class Write(Protocol):
        """Runs a blocking write of a key."""

        async def __call__(self, key: str, work: Callable[[Call], T]) -> T:
            """Its answer."""


T = TypeVar("T")

THREADS: Final = 64
"""More side by side gain nothing in one process."""
OTHER_FILES: Final = 64
"""Open files that are not for connections."""
LEAST_DECIDING: Final = 4
"""However few contents are to be moved at once, so many locks and heads may be."""
FEW_BYTES: Final = 256 * 1024
"""Of a body that obstore sends: its time-out is for the whole request, however slow the line."""
MOST_BYTES: Final = 5 * 1024**3
"""S3 takes no larger body in one PUT, and copies no larger object in one request."""
_EXACT: Final = tuple(f"{CONTROL}/{area}" for area in ("locks/", "heads/", "layout.json", "probe/"))


class S3Store:
    """One connection to a bucket."""

    def __init__(self, settings: S3Settings, environment: CloudEnvironment) -> None:
        self._chain = Chain(environment)
        faults = Faults(settings, environment, self._chain)
        self._name = faults.name
        self._exact = tuple(
            f"{settings.prefix}/{area}" if settings.prefix else area for area in _EXACT
        )
        wanted = max(settings.pull_concurrency, settings.push_concurrency)
        threads = min(THREADS, wanted, _affordable())
        deciding = max(threads, LEAST_DECIDING)
        self._faults = faults
        self._threads = threads
        self._calls = Calls(threads, "s3")
        self._deciding = Calls(deciding, "s3-deciding")
        self._control = Control(settings, self._chain, faults, threads + deciding)
        self._parts = Parts(self._control, settings, faults)
        self._payload = Payload(self._control, settings, self._chain, faults)
        self._capabilities = StoreCapabilities(
            conditional_delete=True,
            server_copy=True,
            side_by_side=threads,
            most_bytes=MOST_BYTES,
        )
        self._writes_parts = True

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self._name

    @property
    def capabilities(self) -> StoreCapabilities:
        """All that S3 has, less what the probe did not find here."""
        return self._capabilities

    @property
    def parts(self) -> InParts | None:
        """See `ports.ObjectStore`."""
        return InParts(self._write, self._parts) if self._writes_parts else None

    def narrow(self, lacking: Lacking) -> None:
        """See `ports.ObjectStore`."""
        self._writes_parts = self._writes_parts and not lacking.parts
        self._capabilities = replace(
            self._capabilities,
            conditional_delete=not lacking.conditional_delete,
            server_copy=not lacking.server_copy,
        )

    def identity(self) -> StoreIdentity | None:
        """The link of the chain that gave the credentials, and whose they are; None: none yet."""
        chain, who = self._chain.identity()
        return StoreIdentity(chain, who) if chain else None

    # --- reads --------------------------------------------------------------------------------

    async def get(
        self, key: RemoteKey, *, if_token: Token | None = None, sink: Sink | None = None
    ) -> Found | Missing | Mismatch:
        """See `ports.ObjectStore`."""
        _accepted(key)

        def work(call: Call) -> Found | Missing | Mismatch:
            if sink is None and self._is_payload(key):
                return self._payload.get(key, if_token)
            into = call.sink(sink) if sink is not None else None
            found = self._control.get(key, if_token=if_token, sink=into)
            return _no_unchanged(found)

        return await self._read(key, work)

    async def get_each(self, wanted: Sequence[Wanted]) -> Sequence[Read | SwampdError]:
        """See `ports.ObjectStore`.  Refused credentials are not looked up anew here."""

        def work(number: int) -> Read:
            key, if_token = wanted[number].key, wanted[number].if_token
            _accepted(key)
            if self._is_payload(key):
                return self._payload.get(key, if_token)
            return _no_unchanged(self._control.get(key, if_token=if_token))

        return await share_out(len(wanted), self._threads, self._run_share, work)

    async def get_if_changed(self, key: RemoteKey, token: Token) -> Found | Missing | Unchanged:
        """See `ports.ObjectStore`."""
        _accepted(key)
        return _no_mismatch(await self._read(key, lambda _: self._control.get(key, unless=token)))

    async def head(self, key: RemoteKey) -> Found | Missing:
        """See `ports.ObjectStore`."""
        _accepted(key)
        return await self._read(key, lambda _: self._control.head(key))

    async def list(self, prefix: RemoteKey, after: str | None = None) -> Page:
        """See `ports.ObjectStore`."""
        return await self._read(prefix, lambda _: self._control.list(prefix, after))

    # --- writes -------------------------------------------------------------------------------

    async def put(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        _accepted(key)
        return await self._write(key, lambda _: self._control.put(key, body, metadata))

    async def create(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        _accepted(key)

        return await self._write(key, lambda _: self._create(key, body, metadata))

    async def create_each(
        self, creations: Sequence[Creation], may_send: MaySend
    ) -> Sequence[WriteOutcome | SwampdError | None]:
        """See `ports.ObjectStore`.  Refused credentials are not looked up anew here."""
        with Leave(may_send) as leave:

            def work(number: int) -> WriteOutcome | None:
                each = creations[number]
                _accepted(each.key)
                self._look_up(each.key)
                if not leave(number):
                    return None
                return self._create(each.key, each.body, each.metadata)

            return await share_out(len(creations), self._threads, self._run_share, work)

    def _create(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        if isinstance(body, SealedFile) or len(body) > FEW_BYTES or not self._is_payload(key):
            return self._control.put(key, body, metadata, create=True)
        return self._payload.create(key, body, metadata)

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        _accepted(key)
        return await self._write(key, lambda _: self._control.put(key, body, metadata, token=token))

    async def delete(self, key: RemoteKey) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        _accepted(key)
        return await self._write(key, lambda _: self._control.delete(key))

    async def delete_if(self, key: RemoteKey, token: Token) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        _accepted(key)
        if not self._capabilities.conditional_delete:
            raise NotImplementedError("delete_if")
        return await self._write(key, lambda _: self._control.delete(key, token))

    async def copy_to(
        self,
        source: RemoteKey,
        target: RemoteKey,
        token: Token | None,
        metadata: Mapping[str, str],
    ) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        _accepted(source)
        _accepted(target)
        if not self._capabilities.server_copy:
            raise NotImplementedError("copy_to")
        return await self._write(
            target, lambda _: self._control.copy(source, target, token, metadata)
        )

    async def close(self) -> None:
        """Cut what is under way and let go of the connections."""
        self._calls.close()
        self._deciding.close()
        self._control.close()
        self._payload.close()

    # ------------------------------------------------------------------------------------------

    def _is_payload(self, key: str) -> bool:
        return not key.startswith(self._exact) and can_spell(key)

    def _calls_of(self, key: str) -> Calls:
        return self._deciding if key.startswith(self._exact) else self._calls

    async def _run_share(self, work: Callable[[], None]) -> None:
        await self._calls.run(lambda _: work())

    async def _read(self, key: str, work: Callable[[Call], T]) -> T:
        generation, calls = self._chain.generation, self._calls_of(key)
        try:
            return await calls.run(work)
        except CredentialsRefused:
            if not await calls.run(lambda _: self._chain.look_again(generation)):
                raise
        return await calls.run(work)

    async def _write(self, key: str, work: Callable[[Call], T]) -> T:
        def signed(call: Call) -> T:
            self._look_up(key)
            call.demand()
            if self._chain.generation > max(generation, FIRST):
                raise StoreUnavailable(
                    f"the credentials for {self._name} were looked up anew; nothing was sent",
                    "this goes on by itself",
                    store=self._name,
                )
            return work(call)

        generation, calls = self._chain.generation, self._calls_of(key)
        try:
            return await calls.run(signed)
        except CredentialsRefused:
            await calls.run(lambda _: self._chain.look_again(generation))
            raise

    def _look_up(self, key: str) -> None:
        """See to the credentials before the right to send is asked for: that may take a while."""
        try:
            self._chain.frozen()
        except FAILURES as error:
            raise self._faults.error(from_boto(error), Action.WRITE, key) from error


def _affordable() -> int:
    """So many threads at most, or their connections (one of each library) would take the open files
    that the journal and the cache need."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (soft - OTHER_FILES) // 4) if soft != resource.RLIM_INFINITY else THREADS


class InParts:
    """The same bucket as a `ports.PartStore`."""

    def __init__(self, write: Write, parts: Parts) -> None:
        self._write = write
        self._parts = parts

    async def begin(self, key: RemoteKey, metadata: Mapping[str, str]) -> str:
        """See `ports.PartStore`."""
        _accepted(key)
        return await self._write(key, lambda _: self._parts.begin(key, metadata))

    async def send(self, key: RemoteKey, upload: str, number: int, body: bytes) -> str:
        """See `ports.PartStore`."""
        return await self._write(key, lambda _: self._parts.send(key, upload, number, body))

    async def complete(self, key: RemoteKey, upload: str, parts: Sequence[str]) -> WriteOutcome:
        """See `ports.PartStore`."""
        return await self._write(key, lambda _: self._parts.complete(key, upload, parts))

    async def abort(self, key: RemoteKey, upload: str) -> None:
        """See `ports.PartStore`."""
        await self._write(key, lambda _: self._parts.abort(key, upload))


def _accepted(key: RemoteKey) -> None:
    """Raise errors.KeyRefused for a key that is empty, over 1,024 bytes or not UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise KeyRefused(f"the key {key!r} is not UTF-8", key=ascii(key)) from error
    if not 0 < size <= KEY_LIMIT:
        raise KeyRefused(
            f"the key {key!r} has {size} bytes; 1 to {KEY_LIMIT} are possible", key=key
        )


def _no_unchanged(found: Found | Missing | Mismatch | Unchanged) -> Found | Missing | Mismatch:
    if isinstance(found, Unchanged):
        _never()
    return found


def _no_mismatch(found: Found | Missing | Mismatch | Unchanged) -> Found | Missing | Unchanged:
    if isinstance(found, Mismatch):
        _never()
    return found


def _never() -> NoReturn:
    raise AssertionError("the read had no such condition")
