"""Set-up makes one layout, and never writes to what is somebody else's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from swampd.chance import SystemRng
from swampd.domain.layout import Keys
from swampd.errors import DamagedObject, NoLayout, NotADatastore, SchemaTooNew
from swampd.layouts import require_layout, set_up
from swampd.stores.directory import DirectoryStore
from swampd.threads import BoundedThreads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = Keys()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DirectoryStore]:
    threads = BoundedThreads()
    yield DirectoryStore(tmp_path, threads)
    threads.close()


def test_the_first_creates_and_the_second_joins(store: DirectoryStore) -> None:
    async def scenario() -> None:
        with pytest.raises(NoLayout, match="swampctl datastore setup"):
            raise_hint(await no_layout(store))
        first = await set_up(store, store, KEYS, SystemRng())
        second = await set_up(store, store, KEYS, SystemRng())
        assert (first.created, second.created) == (True, False)
        assert first.datastore_id == second.datastore_id
        assert (await require_layout(store, KEYS)).datastore_id == first.datastore_id

    asyncio.run(scenario())


async def no_layout(store: DirectoryStore) -> NoLayout:
    with pytest.raises(NoLayout) as caught:
        await require_layout(store, KEYS)
    return caught.value


def raise_hint(error: NoLayout) -> None:
    raise NoLayout(error.hint)


def test_two_at_once_make_one(store: DirectoryStore) -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(set_up(store, store, KEYS, SystemRng())) for _ in range(4)]
        assert len({task.result().datastore_id for task in tasks}) == 1
        assert sum(task.result().created for task in tasks) == 1

    asyncio.run(scenario())


def test_a_populated_folder_is_refused_and_left_alone(
    store: DirectoryStore, tmp_path: Path
) -> None:
    (tmp_path / "letter").write_text("dear")
    for work in (require_layout(store, KEYS), set_up(store, store, KEYS, SystemRng())):
        with pytest.raises(NotADatastore, match="letter"):
            asyncio.run(work)
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"schema": 9}', SchemaTooNew),
        ("{", DamagedObject),
        ("[" * 100_000, DamagedObject),
        ('{"schema": 1}', DamagedObject),
        ('{"schema": -1}', DamagedObject),
        ('{"schema": 1, "datastore_id": "d", "state": "ready", "wid": "w"}', DamagedObject),
    ],
)
def test_a_layout_that_cannot_be_used(
    store: DirectoryStore, tmp_path: Path, text: str, kind: type[Exception]
) -> None:
    asyncio.run(set_up(store, store, KEYS, SystemRng()))
    (tmp_path / KEYS.layout).write_text(text)
    with pytest.raises(kind):
        asyncio.run(require_layout(store, KEYS))


def test_what_is_beside_the_prefix_is_not_in_the_way(store: DirectoryStore, tmp_path: Path) -> None:
    for name in ("team2", "team-other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "letter").write_text("dear")
    made = asyncio.run(set_up(store, store, Keys("team"), SystemRng()))
    assert made.created
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    with pytest.raises(NotADatastore, match="mine/letter"):
        asyncio.run(set_up(store, store, Keys("mine"), SystemRng()))
