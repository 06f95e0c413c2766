"""Names that a file system takes for one: the first stays, the other is shown, nothing is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swampd.cache.tree import LocalTree
from swampd.domain.states import PathState
from swampd.domain.values import Scope
from tests.workspace.machines import machine

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.places.place import Place

SCOPE = Scope("docs")


def test_of_colliding_names_the_first_stays_and_no_delete_goes_out(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write("docs/readme", b"small")
            await a.push()
            monkeypatch.setattr(LocalTree, "folds_names", True)
            await b.pull()
            monkeypatch.setattr(LocalTree, "folds_names", False)
            a.write("docs/README", b"large")
            a.write("docs/Sub/x", b"1")
            a.write("docs/sub/y", b"2")
            await a.push()
            monkeypatch.setattr(LocalTree, "folds_names", True)
            pulled = (await b.pull()).done[SCOPE]
            assert pulled.held == dict.fromkeys(
                ("docs/README", "docs/sub/y"), PathState.NAME_COLLISION
            )
            assert pulled.conflicts == []
            assert (b.cache / "docs/readme").read_bytes() == b"small"
            assert (b.cache / "docs/Sub/x").read_bytes() == b"1"
            assert not (b.cache / "docs/README").exists()
            b.write("docs/new", b"3")
            pushed = (await b.push()).done[SCOPE]
            assert (pushed.sent, pushed.deleted) == (1, 0)
            monkeypatch.setattr(LocalTree, "folds_names", False)
            assert (await a.pull()).done[SCOPE].whole
            assert (a.cache / "docs/README").read_bytes() == b"large"

    asyncio.run(main())


def test_the_file_system_of_the_tests_tells_names_apart(tmp_path: Path) -> None:
    with LocalTree.create(tmp_path / "cache") as tree:
        (tmp_path / "cache/.swampd/PROBE").touch()
        folds = (tmp_path / "cache/.swampd/probe").exists()
        assert tree.folds_names is folds
