"""What a folder is as a store: readable, copyable, and shared with programs that know nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Applied, Found, Listed, Missing, Rejected, Unknown
from swampd.errors import KeyRefused, SchemaTooNew, StoreUnavailable
from swampd.stores.folder import root, writing
from swampd.stores.folder.paths import side_of
from tests.contract.subjects import META, A, B, applied, key
from tests.unit.stores.forcing import Coarse, Hooked, Linkless, Portable, open_folder

if TYPE_CHECKING:
    from pathlib import Path

    from swampd.domain.values import Token
    from swampd.stores.directory import DirectoryStore
    from swampd.stores.folder.calls import Calls

C = key("c")
PRIVATE = "_control/swampd"


async def found(store: DirectoryStore, name: str = A) -> Found:
    answer = await store.get(key(name))
    assert isinstance(answer, Found)
    return answer


async def keys(store: DirectoryStore, prefix: str = "") -> list[str]:
    return [row.key for row in (await store.list(key(prefix))).rows]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def remove(folder: Path) -> None:
    folder.rmdir()


def unmount(folder: Path, disk: Path) -> None:
    folder.rename(disk)
    folder.mkdir()


def copy_all(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", source, target], check=True)  # noqa: S603, S607


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_object_is_a_file_at_its_key(folder: Path) -> None:
    async def run() -> None:
        await open_folder(folder).create(A, b"text\n", META)
        assert (folder / A).read_bytes() == b"text\n"
        digest = side_of(A)[1]
        assert tree(folder) == {A, f"{PRIVATE}/lock", f"{PRIVATE}/meta/{digest[:2]}/{digest}"}

    asyncio.run(run())


def test_a_reader_makes_nothing(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        assert await store.get(A) == Missing()
        assert await store.head(A) == Missing()
        assert await keys(store) == []
        assert names_in(folder) == []

    asyncio.run(run())


def test_a_copy_of_a_store_is_the_same_store(folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        for index, name in enumerate(("data/a", "data/b/c", "x")):
            token = applied(await store.create(key(name), b"old", META))
            await store.replace(key(name), b"new %d" % index, token, {"n": str(index)})
        copy = tmp_path / "copy"
        copy_all(folder, copy)
        twin = open_folder(copy)
        assert (await twin.list(key(""))).rows == (await store.list(key(""))).rows
        for name in await keys(store):
            assert await twin.get(key(name)) == await store.get(key(name))
        token = (await found(twin, "x")).token
        assert isinstance(await twin.replace(key("x"), b"newer", token, {}), Applied)

    asyncio.run(run())


def test_a_foreign_file_is_an_object_without_metadata(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        (folder / "data").mkdir()
        (folder / A).write_bytes(b"by hand")
        seen = await found(store)
        assert (seen.body, dict(seen.metadata)) == (b"by hand", {})
        assert await found(store) == seen
        assert (await store.list(key(""))).rows == (Listed(A, seen.token, 7),)
        assert await store.head(A) == Found(seen.token, 7)
        assert await store.create(A, b"x", {}) == Rejected()
        token = applied(await store.replace(A, b"ours", seen.token, META))
        assert await found(store) == Found(token, 4, META, b"ours")

    asyncio.run(run())


def in_place(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"BY")


def by_rename(file: Path) -> None:
    new = file.with_name("new")
    new.write_bytes(b"by hane")
    new.rename(file)


def with_the_old_mtime(file: Path) -> None:
    stat = file.stat()
    in_place(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def longer(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"!")


@pytest.mark.parametrize("change", [in_place, by_rename, with_the_old_mtime, longer])
def test_a_foreign_file_that_changes_gets_another_token(folder: Path, change: object) -> None:
    async def run() -> None:
        store = open_folder(folder)
        (folder / "data").mkdir()
        (folder / A).write_bytes(b"by hand")
        before = (await found(store)).token
        assert callable(change)
        change(folder / A)
        after = (await found(store)).token
        assert after != before
        assert await store.replace(A, b"x", before, {}) == Rejected()
        assert await store.delete_if(A, before) == Rejected()
        assert await store.delete_if(A, after) == Applied(None)

    asyncio.run(run())


@pytest.mark.parametrize("change", [in_place, by_rename, longer])
def test_an_object_of_ours_that_a_program_overwrites_becomes_foreign(
    folder: Path, change: object
) -> None:
    async def run() -> None:
        store = open_folder(folder)
        ours = applied(await store.create(A, b"by hand", META))
        assert callable(change)
        change(folder / A)
        seen = await found(store)
        assert seen.token != ours
        assert not seen.metadata
        assert await store.replace(A, b"x", ours, {}) == Rejected()

    asyncio.run(run())


def test_what_a_program_deletes_is_missing_and_can_be_created_again(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        old = applied(await store.create(A, b"x", META))
        (folder / A).unlink()
        assert await store.get(A) == Missing()
        assert await keys(store) == []
        assert await store.replace(A, b"y", old, {}) == Rejected()
        new = applied(await store.create(A, b"x", {}))
        assert new != old
        assert await found(store) == Found(new, 1, {}, b"x")

    asyncio.run(run())


def test_a_damaged_side_file_makes_its_object_foreign(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        ours = applied(await store.create(A, b"x", META))
        side = next((folder / PRIVATE / "meta").rglob("*.json"))
        content = side.read_bytes()
        for damage in (b"", b"{", content[:-9], b"\xff\xfe", content.replace(b"a.yaml", b"b.yaml")):
            side.write_bytes(damage)
            seen = await found(store)
            assert seen.token != ours
            assert not seen.metadata
        side.write_bytes(content)
        assert await found(store) == Found(ours, 1, META, b"x")

    asyncio.run(run())


def test_a_side_file_of_a_newer_version_is_refused(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        await store.create(A, b"x", META)
        side = next((folder / PRIVATE / "meta").rglob("*.json"))
        side.write_bytes(b'{"schema":2,"key":"data/a.yaml","versions":[]}')
        with pytest.raises(SchemaTooNew, match="schema 2"):
            await store.get(A)
        with pytest.raises(SchemaTooNew):
            await store.put(A, b"y", {})
        assert (folder / A).read_bytes() == b"x"

    asyncio.run(run())


def test_a_key_inside_an_object_is_refused(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        token = applied(await store.create(key("a/b"), b"x", {}))
        for name in ("a/b/c", "a/b/c/d"):
            for write in (store.create, store.put):
                with pytest.raises(KeyRefused, match="a/b"):
                    await write(key(name), b"y", {})
            assert await store.replace(key(name), b"y", token, {}) == Rejected()
            assert await store.delete_if(key(name), token) == Rejected()
        assert await keys(store) == ["a/b"]

    asyncio.run(run())


def test_a_key_that_is_the_folder_of_objects_is_refused(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        token = applied(await store.create(key("a/b/c"), b"x", {}))
        for name in ("a", "a/b"):
            for write in (store.create, store.put):
                with pytest.raises(KeyRefused, match=f"{name!r} is the folder"):
                    await write(key(name), b"y", {})
            with pytest.raises(KeyRefused):
                await store.copy_to(key("a/b/c"), key(name), None, {})
            assert await store.replace(key(name), b"y", token, {}) == Rejected()
        assert await keys(store) == ["a/b/c"]

    asyncio.run(run())


def test_a_folder_goes_with_its_last_object(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        for name in ("a/b/c/1", "a/2"):
            await store.create(key(name), b"", {})
        await store.delete(key("a/b/c/1"))
        assert (folder / "a").is_dir()
        assert not (folder / "a/b").exists()
        await store.delete(key("a/2"))
        assert names_in(folder) == ["_control"]
        applied(await store.create(key("a"), b"a file now", {}))

    asyncio.run(run())


def test_a_folder_of_empty_folders_makes_way(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        (folder / "a/b/c").mkdir(parents=True)
        (folder / "a/d").mkdir()
        token = applied(await store.put(key("a"), b"x", {}))
        assert await found(store, "a") == Found(token, 1, {}, b"x")

    asyncio.run(run())


BAD = [
    "/etc/passwd",
    "../outside",
    "a/../../outside",
    "a/./b",
    ".",
    "..",
    "a//b",
    "a/",
    "/",
    "",
    "nul\0byte",
    "x" * 256,
    "é" * 128,
    f"{PRIVATE}/lock",
    f"{PRIVATE}/lock/x",
    f"{PRIVATE}/tmp",
    f"{PRIVATE}/tmp/x",
    f"{PRIVATE}/meta/00/x.json",
]


@pytest.mark.parametrize("name", BAD, ids=range(len(BAD)))
def test_a_key_that_is_no_place_below_the_folder_is_refused(folder: Path, name: str) -> None:
    async def run() -> None:
        store, bad = open_folder(folder), key(name)
        token = applied(await store.create(A, b"x", {}))
        before = tree(folder.parent)
        for attempt in (
            store.get(bad),
            store.get_if_changed(bad, token),
            store.head(bad),
            store.put(bad, b"", {}),
            store.create(bad, b"", {}),
            store.replace(bad, b"", token, {}),
            store.delete(bad),
            store.delete_if(bad, token),
            store.copy_to(A, bad, None, {}),
            store.copy_to(bad, B, None, {}),
        ):
            with pytest.raises(KeyRefused) as refused:
                await attempt
            assert refused.value.fields["key"] == name
        assert tree(folder.parent) == before

    asyncio.run(run())


def test_no_link_leads_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_bytes(b"secret")
        (folder / "door").symlink_to(outside)
        (folder / "file").symlink_to(outside / "secret")
        (folder / "dangling").symlink_to(outside / "new")
        (folder / "inner").symlink_to("door")
        store = open_folder(folder)
        token = applied(await store.create(A, b"x", {}))
        for name in (
            "door/secret",
            "door/new",
            "door/deep/new",
            "file",
            "dangling",
            "inner/secret",
        ):
            bad = key(name)
            for attempt in (
                store.get(bad),
                store.head(bad),
                store.put(bad, b"y", {}),
                store.create(bad, b"y", {}),
                store.replace(bad, b"y", token, {}),
                store.delete(bad),
                store.copy_to(A, bad, None, {}),
                store.copy_to(bad, B, None, {}),
            ):
                with pytest.raises(KeyRefused, match="link"):
                    await attempt
        assert tree(outside) == {"secret"}
        assert (outside / "secret").read_bytes() == b"secret"
        assert await keys(store) == [A]
        assert await keys(store, "door/") == await keys(store, "inner/s") == []

    asyncio.run(run())


@pytest.mark.parametrize("name", ["tmp", "meta", "lock"])
def test_the_stores_own_places_are_no_links_either(folder: Path, tmp_path: Path, name: str) -> None:
    async def run() -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (folder / PRIVATE).mkdir(parents=True)
        (folder / PRIVATE / name).symlink_to(outside / "new" if name == "lock" else outside)
        with pytest.raises((KeyRefused, StoreUnavailable)):
            await open_folder(folder).create(A, b"x", META)
        assert not tree(outside)
        assert not (folder / A).exists()

    asyncio.run(run())


def test_what_is_no_file_is_no_object(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        os.mkfifo(folder / "fifo")
        # A socket's path may be 107 bytes long only, so it is bound by a relative one.
        before = os.open(".", os.O_RDONLY)
        os.chdir(folder)
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("socket")
        finally:
            os.fchdir(before)
            os.close(before)
        for name in ("fifo", "socket"):
            for attempt in (
                store.get(key(name)),
                store.head(key(name)),
                store.put(key(name), b"", {}),
            ):
                with pytest.raises(KeyRefused, match="neither"):
                    await attempt
        assert await keys(store) == []

    asyncio.run(run())


def test_private_names_and_names_that_are_not_utf8_are_not_listed(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        await store.create(key(f"{PRIVATE}/heads/x.json"), b"", {})
        (folder / PRIVATE / "tmp/left-behind").write_bytes(b"x")
        os.close(os.open(os.fsencode(folder) + b"/bad\xff", os.O_CREAT | os.O_WRONLY))
        os.mkdir(os.fsencode(folder) + b"/dir\xff")  # noqa: PTH102 - a path of bytes
        os.close(os.open(os.fsencode(folder) + b"/dir\xff/x", os.O_CREAT | os.O_WRONLY))
        hostile = ["back\\slash", "new\nline", "CON", "-rf", " "]
        for name in hostile:
            (folder / name).write_bytes(b"")
        assert await keys(store) == sorted([*hostile, f"{PRIVATE}/heads/x.json"])
        assert await keys(store, f"{PRIVATE}/") == [f"{PRIVATE}/heads/x.json"]
        for prefix in ("tmp", "tmp/", "meta/", "lock"):
            assert await keys(store, f"{PRIVATE}/{prefix}") == []
        # Only the store's own names at its root are hidden.
        await store.create(key(f"team/{PRIVATE}/tmp/x"), b"", {})
        assert await keys(store, "team/") == [f"team/{PRIVATE}/tmp/x"]

    asyncio.run(run())


def test_a_file_too_deep_to_have_a_key_fails_nothing(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        await store.create(A, b"", {})
        depth = 5
        deep = folder.joinpath(*["d" * 250] * depth)
        deep.mkdir(parents=True)
        (deep / "file").write_bytes(b"")
        assert await keys(store) == [A]

    asyncio.run(run())


@pytest.mark.parametrize(
    "calls", [Coarse(), Linkless(), Portable()], ids=lambda c: type(c).__name__
)
def test_a_poorer_file_system_is_enough(folder: Path, calls: Calls) -> None:
    async def run() -> None:
        store = open_folder(folder, calls)
        tokens: list[Token] = [applied(await store.create(A, b"0", META))]
        assert await store.create(A, b"x", {}) == Rejected()
        for step in range(1, 6):
            tokens.append(applied(await store.replace(A, b"%d" % step, tokens[-1], {})))
            for stale in tokens[:-1]:
                assert await store.replace(A, b"x", stale, {}) == Rejected()
            assert await found(store) == Found(tokens[-1], 1, {}, b"%d" % step)
        assert await store.delete_if(A, tokens[-1]) == Applied(None)
        assert not list((folder / PRIVATE / "tmp").iterdir())

    asyncio.run(run())


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    async def run() -> None:
        (tmp_path / "file").write_bytes(b"")
        for name in ("none", "file"):
            store = open_folder(tmp_path / name)
            for attempt in (
                store.get(A),
                store.list(key("")),
                store.create(A, b"", {}),
                store.delete(A),
            ):
                with pytest.raises(StoreUnavailable, match=name):
                    await attempt
        assert not (tmp_path / "none").exists()

    asyncio.run(run())


def test_an_empty_folder_in_the_place_of_a_store_is_not_taken_for_it(
    folder: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        store = open_folder(folder)
        token = applied(await store.create(A, b"x", META))
        disk = tmp_path / "disk"
        unmount(folder, disk)
        for attempt in (
            store.get(A),
            store.list(key("")),
            store.create(A, b"", {}),
            store.delete(A),
        ):
            with pytest.raises(StoreUnavailable, match="unmounted"):
                await attempt
        assert names_in(folder) == []
        remove(folder)
        copy_all(disk, folder)
        assert (await found(store)).token == token

    asyncio.run(run())


def test_a_first_write_that_comes_between_is_no_other_store(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_look = root._has_lock

    def overtaken(descriptor: int) -> bool:
        had_lock = first_look(descriptor)
        monkeypatch.setattr(root, "_has_lock", first_look)
        asyncio.run(store.create(A, b"x", META))
        return had_lock

    store = open_folder(folder)
    monkeypatch.setattr(root, "_has_lock", overtaken)
    with store._root.opened():
        pass
    assert asyncio.run(found(store)).body == b"x"


def test_private_files_of_dead_processes_are_swept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        await open_folder(folder).create(A, b"x", META)
        left = folder / PRIVATE / "tmp/left"
        left.write_bytes(b"half")
        await open_folder(folder).create(B, b"x", META)
        assert left.exists()
        # Everything counts as old now, the draft of the sweeping writer too.
        monkeypatch.setattr(writing, "_LEFT_BEHIND_NS", -(10**18))
        assert isinstance(await open_folder(folder).create(C, b"x", META), Unknown)
        assert not left.exists()
        assert await open_folder(folder).get(C) == Missing()

    asyncio.run(run())


def test_a_foreign_file_that_is_rewritten_while_it_is_read_is_not_answered(folder: Path) -> None:
    body = b"x" * (3 << 20)

    def rewrite() -> None:
        with (folder / "big").open("r+b") as file:
            file.write(b"new")
            file.truncate()

    class Rewriting:
        def __call__(self, chunk: bytes) -> None:
            assert set(chunk) <= set(b"xnew")
            rewrite()

    class RewritingCalls(Hooked):
        def before(self, name: str, arguments: tuple[object, ...]) -> None:
            if name == "write" and len(str(arguments[1])) > len(body) // 4:
                rewrite()

    async def run() -> None:
        store = open_folder(folder)
        (folder / "big").write_bytes(body)
        with pytest.raises(StoreUnavailable, match="changes faster"):
            await store.get(key("big"), sink=Rewriting())
        assert (await found(store, "big")).body == b"new"
        (folder / "big").write_bytes(body)
        with pytest.raises(StoreUnavailable, match="rewritten"):
            await open_folder(folder, RewritingCalls()).copy_to(key("big"), A, None, {})
        assert await store.get(A) == Missing()

    asyncio.run(run())
