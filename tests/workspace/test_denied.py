"""A store that lets us commit, and not delete: shown by name, and gone on with by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swampd.domain.states import Halt
from swampd.domain.values import Scope
from swampd.reporting import report
from tests.places.choice import bucket_only
from tests.servers.refusals import OBJECT_LOCKED, Denial, Match
from tests.workspace.machines import two_machines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.bucket import BucketPlace


@bucket_only
def test_object_lock_is_a_named_halt_and_stops_nothing_else(
    tmp_path: Path, place: BucketPlace
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("data/kept", b"1")
            a.write("data/other", b"1")
            await a.push()
            await b.pull()
            locked = Denial(Match("DELETE", f"^/{place.bucket}/.*data/kept$"), OBJECT_LOCKED)
            place.server.deny(locked)
            (a.cache / "data/kept").unlink()
            await a.push()
            ((scope, halt, detail),) = (await report(a.workspace)).halts
            assert (scope, halt) == (Scope("data"), Halt.MIRROR_DENIED)
            assert "s3:DeleteObject" in detail
            assert "data/kept" in detail
            assert place.read("data/kept") == b"1"

            a.write("data/other", b"2")
            await a.push()
            await b.pull()
            assert not (b.cache / "data/kept").exists()
            assert (b.cache / "data/other").read_bytes() == b"2"
            assert len((await report(a.workspace)).halts) == 1

            place.server.deny()
            a.write("data/other", b"3")
            await a.push()
            assert (await report(a.workspace)).halts == []
            assert place.find("data/kept") is None

    asyncio.run(main())


@bucket_only
def test_what_another_machine_was_allowed_to_do_is_no_trouble_any_more(
    tmp_path: Path, place: BucketPlace
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("data/kept", b"1")
            a.write("data/other", b"1")
            await a.push()
            await b.pull()
            locked = Denial(Match("DELETE", f"^/{place.bucket}/.*data/kept$"), OBJECT_LOCKED)
            place.server.deny(locked)
            (a.cache / "data/kept").unlink()
            await a.push()
            assert [halt for _, halt, _ in (await report(a.workspace)).halts]
            place.server.deny()
            await b.pull()
            assert await b.workspace.desks.settle(Scope("data"))
            await a.pull()
            await a.workspace.background.end_over()
            assert (await report(a.workspace)).halts == []

    asyncio.run(main())
