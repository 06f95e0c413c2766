"""Uploads of an earlier life that cannot be aborted: forgotten, and never tried for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.values import CachePath
from swampd.errors import StoreDenied, StoreUnavailable, SwampdError
from swampd.ports import Lacking
from swampd.syncing import large
from tests.places.choice import bucket_only, folder_only, on_each
from tests.servers.access_log import read_log
from tests.workspace.machines import Machine, machine
from tests.workspace.test_large import uploads

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.bucket import BucketPlace
    from tests.places.folder import FolderPlace
    from tests.places.place import Place

PATH = CachePath("data/disk.img")


class NeverAborts:
    """Parts that never take an abort."""

    def __init__(self, error: SwampdError) -> None:
        self.error = error
        self.asked = 0

    async def abort(self, *_: Any) -> None:
        self.asked += 1
        raise self.error


async def with_an_upload(one: Machine, key: str) -> None:
    """One of an earlier life."""
    row = ("id", key)
    await one.workspace.ports.journal.write(
        lambda tx: tx.executemany("INSERT INTO upload VALUES (?, ?)", [row])
    )


@on_each
def test_an_upload_of_a_store_that_writes_no_parts_any_more_is_forgotten(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            if a.store.parts is not None:
                a.store.narrow(Lacking(parts=True))
            await with_an_upload(a, a.workspace.ports.keys.payload(PATH))
            await a.workspace.background.abort_uploads()
            assert await uploads(a) == []
            assert not (await a.workspace.background.what_is_open()).anything

    asyncio.run(main())


@bucket_only
def test_an_upload_of_another_place_is_forgotten(tmp_path: Path, place: BucketPlace) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            await with_an_upload(a, a.workspace.ports.keys.payload(PATH))
            await with_an_upload(a, "elsewhere/it")
            await a.workspace.background.abort_uploads()
            assert await uploads(a) == []
            rows = [
                row for row in read_log(place.log.read_bytes()) if row.key.startswith("elsewhere/")
            ]
            assert rows == []

    asyncio.run(main())


@folder_only
@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("400 InvalidArgument: uploadId", ""),
        StoreDenied("403 AccessDenied", ""),
    ],
)
def test_an_upload_that_is_never_aborted_is_forgotten_in_the_end(
    tmp_path: Path,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    error: SwampdError,
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            parts = NeverAborts(error)
            monkeypatch.setattr(type(a.store._store), "parts", property(lambda _: parts))
            await with_an_upload(a, a.workspace.ports.keys.payload(PATH))
            for number in range(large.ABORTS):
                assert len(await uploads(a)) == 1
                await a.workspace.background.abort_uploads()
                assert parts.asked == number + 1
            assert await uploads(a) == []

    asyncio.run(main())


@folder_only
def test_an_upload_waits_for_a_store_that_is_away(
    tmp_path: Path, place: FolderPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            parts = NeverAborts(StoreUnavailable("no route", ""))
            monkeypatch.setattr(type(a.store._store), "parts", property(lambda _: parts))
            await with_an_upload(a, a.workspace.ports.keys.payload(PATH))
            with place.away():
                for _ in range(2 * large.ABORTS):
                    await a.workspace.background.abort_uploads()
            assert len(await uploads(a)) == 1

    asyncio.run(main())
