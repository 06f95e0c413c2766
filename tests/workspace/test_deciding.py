"""Decisions on conflicts while somebody edits, or the daemon dies: only what stood there when it
was decided is given up."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.states import ConflictKind
from swampd.domain.values import CachePath, Scope, Sha256
from swampd.errors import BadRequest, Halted
from swampd.indexing import rows
from swampd.ports import FileRead
from swampd.syncing import local_ledger, rolling
from swampd.syncing.conflicts import ConflictKeeper, Side
from swampd.syncing.local_ledger import Placement
from tests.workspace.machines import bytes_kept, conflicts_of, machine, two_machines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place
    from tests.workspace.machines import Machine

F = CachePath("data/f")
NAME = "e" * 32


async def keep_bytes(one: Machine, content: bytes) -> None:
    """A conflict about bytes that are nowhere else, at a path that is pushed."""
    one.write(F, b"one")
    await one.push()
    tree = one.workspace.ports.tree
    with tree.write_tmp(NAME, x=False) as sink:
        sink(content)
    copy = tree.tmp_to_conflicts(NAME, F)
    await ConflictKeeper(one.workspace.desks.sync).keep_bytes(None, F, copy)


def edit_before_exchange(one: Machine, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A user writes there in the last moment, once."""
    tree: Any = one.workspace.ports.tree
    real = tree.exchange

    def exchange(name: str, path: CachePath) -> Any:
        monkeypatch.setattr(tree, "exchange", real)
        one.write(F, content)
        return real(name, path)

    monkeypatch.setattr(tree, "exchange", exchange)


def test_an_edit_that_a_decision_swapped_out_is_kept_after_a_crash(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "image"

    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            await keep_bytes(a, b"kept")
            edit_before_exchange(a, monkeypatch, b"just now")
            tree: Any = a.workspace.ports.tree
            hash_tmp = tree.hash_tmp

            def killed(name: str) -> Any:
                if not image.exists():
                    shutil.copytree(tmp_path / "a", image / "a")
                return hash_tmp(name)

            monkeypatch.setattr(tree, "hash_tmp", killed)
            with pytest.raises(BadRequest, match="edited meanwhile"):
                await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            assert (a.cache / F).read_bytes() == b"just now"
        async with machine(image, "a", place) as a:
            assert (a.cache / F).read_bytes() == b"kept"
            assert bytes_kept(a) == [b"just now", b"kept"]
            assert {c.kind for c in await conflicts_of(a)} == {ConflictKind.KEPT_BYTES}
            assert len(await conflicts_of(a)) == 2

    asyncio.run(main())


def test_what_cannot_be_looked_at_gets_its_name_back(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(_name: str) -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            await keep_bytes(a, b"kept")
            edit_before_exchange(a, monkeypatch, b"just now")
            monkeypatch.setattr(a.workspace.ports.tree, "hash_tmp", too_many)
            with pytest.raises(Halted):
                await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            assert (a.cache / F).read_bytes() == b"just now"
            monkeypatch.undo()
        async with machine(tmp_path, "a", place) as a:
            assert (a.cache / F).read_bytes() == b"just now"
            assert bytes_kept(a) == [b"kept"]

    asyncio.run(main())


def test_what_can_neither_be_looked_at_nor_put_back_is_shown_by_the_next_start(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            await keep_bytes(a, b"kept")
            edit_before_exchange(a, monkeypatch, b"just now")
            tree = a.workspace.ports.tree

            def broken(*_args: Any) -> Any:
                monkeypatch.setattr(tree, "exchange", broken)
                raise OSError(errno.EIO, os.strerror(errno.EIO))

            monkeypatch.setattr(tree, "hash_tmp", broken)
            with pytest.raises(Halted):
                await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            monkeypatch.undo()
        async with machine(tmp_path, "a", place) as a:
            assert bytes_kept(a) == [b"just now", b"kept"]
            assert len(await conflicts_of(a)) == 2

    asyncio.run(main())


def test_an_edit_whose_name_was_moved_away_meanwhile_gets_it_back(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            await keep_bytes(a, b"kept")
            edit_before_exchange(a, monkeypatch, b"just now")
            tree: Any = a.workspace.ports.tree
            hash_tmp = tree.hash_tmp

            def renamed(name: str) -> Any:
                (a.cache / F).rename(a.cache / "data/moved")
                return hash_tmp(name)

            monkeypatch.setattr(tree, "hash_tmp", renamed)
            with pytest.raises(BadRequest, match="edited meanwhile"):
                await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            assert (a.cache / F).read_bytes() == b"just now"
            assert (a.cache / "data/moved").read_bytes() == b"kept"
            monkeypatch.undo()
        async with machine(tmp_path, "a", place) as a:
            assert (a.cache / F).read_bytes() == b"just now"
            assert bytes_kept(a) == [b"kept"]

    asyncio.run(main())


def test_what_cannot_be_replaced_is_told(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            await keep_bytes(a, b"kept")
            (a.cache / F).unlink()
            (a.cache / F).symlink_to("elsewhere")
            with pytest.raises(BadRequest, match="cannot be replaced: symlink"):
                await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            (a.cache / F).unlink()
            await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            assert (a.cache / F).read_bytes() == b"kept"
            assert await conflicts_of(a) == []

    asyncio.run(main())


@pytest.mark.parametrize("kept", [False, True])
def test_an_edit_after_the_command_was_not_decided_against(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            if kept:
                await keep_bytes(a, b"theirs")
            else:
                a.write(F, b"one")
                await a.push()
                await b.pull()
                b.write(F, b"theirs")
                await b.push()
                a.write(F, b"ours")
                await a.pull()
            resolver: Any = a.workspace.desks.resolver
            look = resolver._look_at_copy

            def looks(copy: str) -> Any:
                """A large copy takes its time."""
                monkeypatch.undo()
                a.write(F, b"just now")
                return look(copy)

            monkeypatch.setattr(resolver, "_look_at_copy", looks)
            if kept:
                with pytest.raises(BadRequest, match="edited meanwhile"):
                    await resolver.resolve(F, Side.THEIRS)
            else:
                await resolver.resolve(F, Side.THEIRS)
            await a.pull()
            await a.workspace.background.empty_trash(0.0)
            assert (a.cache / F).read_bytes() == b"just now"
            assert bytes_kept(a) == [b"theirs"]
            assert [c.path for c in await conflicts_of(a)] == [F]

    asyncio.run(main())


def test_what_a_decision_placed_before_a_crash_is_an_edit_and_not_agreed(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            await keep_bytes(a, b"kept")
            ports, desks = a.workspace.ports, a.workspace.desks
            a.write(F, b"kept")
            read = ports.tree.read(F, keep=False)
            assert isinstance(read, FileRead)
            intent = Placement(NAME, F, read.sha256, Sha256("0" * 64), decided=True)
            await ports.journal.write(lambda tx: local_ledger.begin_placements(tx, [intent]))
            assert await ports.journal.read(local_ledger.placements) == [intent]
            await rolling.roll_forward(desks.sync, desks.bases, ConflictKeeper(desks.sync))
            assert await ports.journal.read(local_ledger.placements) == []
            base = await ports.journal.read(lambda tx: rows.base(tx, F))
            assert base is not None
            assert base.content.sha256 != read.sha256
            await desks.resolver.resolve(F, Side.THEIRS)
            assert (await a.push()).done[Scope("data")].sent == 1

    asyncio.run(main())
