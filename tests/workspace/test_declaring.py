"""Declared scopes never nest, whoever declares what, in one request or on two machines."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from swampd.domain.values import Scope
from tests.workspace.machines import intercept, intercept_each_creation, machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place


def children(place: Place) -> list[str]:
    """What the head of `data` names."""
    return list(place.head()["children"])


def test_a_lock_on_a_directory_and_one_inside_it_declares_the_outer(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/a/b/x", b"1")
            a.write("data/a/y", b"2")
            hold = await a.workspace.lock(["data/a", "data/a/b"], a.asker)
            assert [want.scope for want in hold.wants] == ["data/a"]
            await a.workspace.release(hold)
            assert children(place) == ["data/a"]
            await a.push()

    asyncio.run(main())


def test_a_push_of_a_directory_and_one_inside_it_declares_the_outer(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/a/b/x", b"1")
            a.write("data/a/y", b"2")
            pushed = await a.push("data/a/b", "data/a")
            assert list(pushed.done) == ["data/a"]
            assert pushed.done["data/a"].sent == 2
            assert children(place) == ["data/a"]

    asyncio.run(main())


def test_what_another_machine_declared_meanwhile_is_taken_instead(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write("data/a/b/x", b"1")
            await a.push("data")
            await b.pull()
            await a.workspace.release(await a.workspace.lock(["data/a"], a.asker))
            hold = await b.workspace.lock(["data/a/b"], b.asker)
            assert [want.scope for want in hold.wants] == ["data/a"]
            await b.workspace.release(hold)
            assert children(place) == ["data/a"]

    asyncio.run(main())


def test_a_push_means_what_another_machine_declared_meanwhile(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write("data/a/b/x", b"1")
            await a.push("data")
            await b.pull()
            await a.workspace.release(await a.workspace.lock(["data/a"], a.asker))
            b.write("data/a/b/x", b"2")
            pushed = await b.push("data/a/b")
            assert list(pushed.done) == ["data/a"]
            assert children(place) == ["data/a"]
            assert place.read("data/a/b/x") == b"2"

    asyncio.run(main())


def test_a_declare_whose_answer_is_not_known_is_shut_out_by_the_next_holder_before_it_acts(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write("data/top", b"1")
            await a.push("data")
            await b.pull()
            sent, never = asyncio.Event(), asyncio.Event()

            async def hang(key: str, body: bytes) -> None:
                if "/heads/" in key and json.loads(body)["kind"] == "declare":
                    sent.set()
                    await never.wait()

            intercept(a, "replace", hang)
            async with asyncio.TaskGroup() as group:
                lock = group.create_task(a.workspace.lock(["data/x"], a.asker))
                await sent.wait()
                lock.cancel()
            await a.until_free(Scope("data"))
            freed = await b.workspace.book.look(Scope("data"))
            assert freed is not None
            assert freed.record is not None
            assert freed.record.in_doubt == freed.record.epoch

            kinds: list[str] = []

            async def look(key: str, _body: bytes) -> None:
                if key.endswith("data/x/new"):
                    kinds.append(place.head()["kind"])

            intercept_each_creation(b, look)
            b.write("data/x/new", b"2")
            await b.push("data")
            assert kinds == ["claim"]

    asyncio.run(main())


def test_a_scope_that_is_declared_in_doubt_is_in_doubt(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write("data/top", b"1")
            await a.push("data")
            await a.workspace.lock(["data"], a.asker)
            held = await b.workspace.book.look(Scope("data"))
            assert held is not None
            assert held.record is not None
            await b.workspace.book.break_lock(Scope("data"), held.record.epoch, now=True)
            hold = await b.workspace.lock(["data/x"], b.asker)
            assert hold.leases[Scope("data/x")].in_doubt
            await b.workspace.release(hold)
            await b.until_free(Scope("data/x"))
            freed = await b.workspace.book.look(Scope("data/x"))
            assert freed is not None
            assert freed.record is not None
            assert freed.record.in_doubt == freed.record.epoch

    asyncio.run(main())
