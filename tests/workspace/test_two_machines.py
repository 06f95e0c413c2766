"""Two machines, one store: the main job on real files."""

from __future__ import annotations

import asyncio
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from tests.workspace.machines import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.places.place import Place

FILES = 2000


def installed_files() -> Iterator[tuple[str, Path]]:
    """Real files: installed packages of the test environment, as `data/<package>/...`."""
    root = Path(sysconfig.get_path("purelib"))
    count = 0
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root).as_posix()
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 200_000:
            yield f"data/{relative}", path
            count += 1
            if count == FILES:
                return


def tree_of(cache: Path) -> dict[str, tuple[bytes, bool, int]]:
    """Bytes, execute bit and mtime of every file."""
    found = {}
    for path in cache.rglob("*"):
        if path.is_file() and ".swampd" not in path.parts:
            stat = path.stat()
            key = path.relative_to(cache).as_posix()
            found[key] = (path.read_bytes(), bool(stat.st_mode & 0o100), stat.st_mtime_ns)
    return found


def test_2000_real_files_are_identical_on_the_other_machine(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            for path, source in installed_files():
                a.write(path, source.read_bytes())
                if path.endswith("_pb2.py"):
                    (a.cache / path).chmod(0o744)
            await a.push()
            await b.pull()
            there = tree_of(b.cache)
            assert tree_of(a.cache) == there
            assert len(there) == FILES
            assert {k: v[0] for k, v in there.items()} == place.plain_files()

            paths = sorted(there)
            edited, same_size, renamed, gone = paths[10], paths[20], paths[30], paths[40]
            b.write(edited, b"edited on b")
            old = (b.cache / same_size).read_bytes()
            b.write(same_size, bytes(reversed(old)) if old != old[::-1] else b"x" * len(old))
            (b.cache / renamed).rename(b.cache / "data/renamed.txt")
            (b.cache / gone).unlink()
            b.write("data/new/dir/file", b"new directory")
            await b.push()
            await a.pull()
            assert tree_of(a.cache) == tree_of(b.cache)
            assert {k: v[0] for k, v in tree_of(a.cache).items()} == place.plain_files()
            assert (a.cache / edited).read_bytes() == b"edited on b"
            assert not (a.cache / gone).exists()

    asyncio.run(main())


def test_conflicting_edits_keep_both(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write("data/f", b"first")
            await a.push()
            await b.pull()
            a.write("data/f", b"from a")
            await a.push()
            b.write("data/f", b"from b")
            await b.pull()
            assert (b.cache / "data/f").read_bytes() == b"from b"
            assert (b.cache / ".swampd/conflicts/data/f").read_bytes() == b"from a"

    asyncio.run(main())
