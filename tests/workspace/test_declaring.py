"""Declared scopes never nest, whoever declares what, in one request or on two machines."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.workspace.machines import machine

if TYPE_CHECKING:
    from pathlib import Path


def children(store: Path) -> list[str]:
    """What the head of `data` names."""
    return list(json.loads((store / "_control/swampd/heads/data.json").read_bytes())["children"])


def test_a_lock_on_a_directory_and_one_inside_it_declares_the_outer(tmp_path: Path) -> None:
    async def main() -> None:
        store = tmp_path / "store"
        async with machine(tmp_path, "a", store) as a:
            a.write("data/a/b/x", b"1")
            a.write("data/a/y", b"2")
            hold = await a.workspace.lock(["data/a", "data/a/b"], a.asker)
            assert [want.scope for want in hold.wants] == ["data/a"]
            await a.workspace.release(hold)
            assert children(store) == ["data/a"]
            await a.push()

    asyncio.run(main())


def test_a_push_of_a_directory_and_one_inside_it_declares_the_outer(tmp_path: Path) -> None:
    async def main() -> None:
        store = tmp_path / "store"
        async with machine(tmp_path, "a", store) as a:
            a.write("data/a/b/x", b"1")
            a.write("data/a/y", b"2")
            pushed = await a.push("data/a/b", "data/a")
            assert list(pushed.done) == ["data/a"]
            assert pushed.done["data/a"].sent == 2
            assert children(store) == ["data/a"]

    asyncio.run(main())


def test_what_another_machine_declared_meanwhile_is_taken_instead(tmp_path: Path) -> None:
    async def main() -> None:
        store = tmp_path / "store"
        async with machine(tmp_path, "a", store) as a, machine(tmp_path, "b", store) as b:
            a.write("data/a/b/x", b"1")
            await a.push("data")
            await b.pull()
            await a.workspace.release(await a.workspace.lock(["data/a"], a.asker))
            hold = await b.workspace.lock(["data/a/b"], b.asker)
            assert [want.scope for want in hold.wants] == ["data/a"]
            await b.workspace.release(hold)
            assert children(store) == ["data/a"]

    asyncio.run(main())


def test_a_push_means_what_another_machine_declared_meanwhile(tmp_path: Path) -> None:
    async def main() -> None:
        store = tmp_path / "store"
        async with machine(tmp_path, "a", store) as a, machine(tmp_path, "b", store) as b:
            a.write("data/a/b/x", b"1")
            await a.push("data")
            await b.pull()
            await a.workspace.release(await a.workspace.lock(["data/a"], a.asker))
            b.write("data/a/b/x", b"2")
            pushed = await b.push("data/a/b")
            assert list(pushed.done) == ["data/a"]
            assert children(store) == ["data/a"]
            assert (store / "data/a/b/x").read_bytes() == b"2"

    asyncio.run(main())
