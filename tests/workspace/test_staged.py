"""A staged copy that cannot be had whole: nobody takes what came for it, and nothing is settled."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from swampd.domain.outcomes import Found
from swampd.domain.states import PathState
from swampd.domain.values import CachePath, Scope
from swampd.reporting import report
from tests.workspace.machines import Machine, replace_get, shown, two_machines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.places.place import Place

PATH = CachePath("data/f")
SCOPE = Scope("data")
STAGED = "_control/swampd/staged/"
HTML = b"<html>log in to the hotel's network</html>"


def staged(place: Place) -> list[str]:
    return [key for key in place.keys("_control/") if STAGED in key]


def content(seed: int) -> bytes:
    return hashlib.shake_128(b"%d" % seed).digest(20_000)


@contextmanager
def read_through_a_proxy(a: Machine, _: Place) -> Iterator[None]:
    """Whatever is staged, its reader gets a page that a proxy made."""
    store = a.store._store
    real = store.get, store.get_each

    async def get(key: Any, **options: Any) -> Any:
        found = await real[0](key, **options)
        if STAGED in key and isinstance(found, Found):
            return msgspec.structs.replace(found, body=HTML, size=len(HTML))
        return found

    replace_get(a, get)
    yield
    store.get, store.get_each = real


@contextmanager
def overwritten(a: Machine, place: Place) -> Iterator[None]:
    """Somebody else writes over it as soon as it is there."""
    store = a.store._store
    real = store.create

    async def create(key: Any, body: Any, metadata: Any) -> Any:
        outcome = await real(key, body, metadata)
        if STAGED in key:
            place.write_foreign(f"{STAGED}{key.rpartition('/')[2]}", content(3))
        return outcome

    store.create = create
    yield
    store.create = real
    (key,) = staged(place)
    place.write_foreign(key, content(2))


@pytest.mark.parametrize("trouble", [read_through_a_proxy, overwritten])
def test_what_is_not_the_committed_content_is_never_brought_up(
    tmp_path: Path, place: Place, trouble: Callable[[Machine, Place], AbstractContextManager[None]]
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write(PATH, content(1))
            await a.push()
            await b.pull()
            with trouble(a, place):
                a.write(PATH, content(2))
                pushed = await a.push()
                assert pushed.done[SCOPE].mirror_pending == 1
                for _ in range(2):
                    assert await a.workspace.desks.settle(SCOPE) == 0
                    await a.pull()
                    assert place.read(PATH) == content(1)
                    assert len(staged(place)) == 1
                    state, detail = (await shown(a))[PATH]
                    assert state is PathState.UNSETTLED
                    assert "not what was committed" in detail
                    assert [one.unsettled for one in (await report(a.workspace)).scopes] == [1]
            await a.workspace.desks.settle(SCOPE)
            assert place.read(PATH) == content(2)
            assert staged(place) == []
            assert await shown(a) == {}
            await b.pull()
            assert (b.cache / PATH).read_bytes() == content(2)

    asyncio.run(main())


def test_what_another_machine_has_brought_up_is_not_shown_any_more(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write(PATH, content(1))
            await a.push()
            await b.pull()
            with read_through_a_proxy(a, place):
                a.write(PATH, content(2))
                await a.push()
                assert (await shown(a))[PATH][0] is PathState.UNSETTLED
                await a.until_free(SCOPE)
                await b.pull()
                assert await b.workspace.desks.settle(SCOPE) == 1
                await a.pull()
                assert await shown(a) == {}
            assert place.read(PATH) == content(2)

    asyncio.run(main())
