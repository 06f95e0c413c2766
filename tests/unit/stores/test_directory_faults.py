"""What the system refuses, in the words of the contract: nothing landed, or Unknown."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Applied, Found, Missing, Rejected, Unknown
from swampd.errors import KeyRefused, StoreDenied, StoreUnavailable
from swampd.stores.folder.lock import StoreLock
from tests.contract.subjects import META, A, B, applied, key
from tests.unit.stores.forcing import CHANGES, Failing, Hooked, open_folder

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "_control/swampd/lock"
BEFORE = ("make", "write", "set_mtime", "sync_all", "mkdir")


async def old_object(folder: Path) -> Found:
    await open_folder(folder).create(A, b"old", META)
    found = await open_folder(folder).get(A)
    assert isinstance(found, Found)
    return found


async def assert_unchanged(folder: Path, old: Found) -> None:
    store = open_folder(folder)
    assert await store.get(A) == old
    assert [row.key for row in (await store.list(key(""))).rows] == [A]
    assert not any((folder / "_control/swampd/tmp").iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", [call for call in BEFORE if call != "mkdir"])
def test_what_fails_before_the_rename_has_not_happened(folder: Path, call: str, code: int) -> None:
    async def run() -> None:
        old = await old_object(folder)
        for after in range(2 if call in {"make", "write"} else 1):
            store = open_folder(folder, Failing(call, code, after))
            with pytest.raises(StoreUnavailable, match="cannot write"):
                await store.replace(A, b"new", old.token, {})
            await assert_unchanged(folder, old)

    asyncio.run(run())


def test_a_folder_that_cannot_be_made_fails_the_write(folder: Path) -> None:
    async def run() -> None:
        old = await old_object(folder)
        for after in range(2):
            with pytest.raises(StoreUnavailable):
                await open_folder(folder, Failing("mkdir", errno.ENOSPC, after)).create(
                    key("x/y/z"), b"", {}
                )
        await assert_unchanged(folder, old)

    asyncio.run(run())


def test_the_rename_of_a_side_file_that_fails_changes_nothing(folder: Path) -> None:
    async def run() -> None:
        old = await old_object(folder)
        with pytest.raises(StoreUnavailable):
            await open_folder(folder, Failing("rename", errno.EIO)).put(A, b"new", {})
        await assert_unchanged(folder, old)

    asyncio.run(run())


@pytest.mark.parametrize("done", [False, True])
def test_a_rename_of_which_nobody_can_tell_is_unknown(folder: Path, *, done: bool) -> None:
    class LostRename(Hooked):
        renames = 0

        def rename(self, name: str, folder: int, target: str, target_folder: int) -> None:
            self.renames += 1
            if self.renames == 1 or done:
                super().rename(name, folder, target, target_folder)
            if self.renames > 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def run() -> None:
        old = await old_object(folder)
        outcome = await open_folder(folder, LostRename()).replace(A, b"new", old.token, {})
        assert isinstance(outcome, Unknown)
        assert "rename" in outcome.reason
        if not done:
            await assert_unchanged(folder, old)
            return
        found = await open_folder(folder).get(A)
        assert isinstance(found, Found)
        assert found.body == b"new"

    asyncio.run(run())


def test_a_rename_that_surely_failed_is_an_error(folder: Path) -> None:
    async def run() -> None:
        old = await old_object(folder)
        with pytest.raises(StoreUnavailable, match="free some space"):
            await open_folder(folder, Failing("rename", errno.ENOSPC, 1)).put(A, b"new", {})
        await assert_unchanged(folder, old)

    asyncio.run(run())


def test_a_replace_that_is_perhaps_not_on_disk_is_unknown(folder: Path) -> None:
    async def run() -> None:
        old = await old_object(folder)
        store = open_folder(folder, Failing("sync", errno.EIO))
        assert isinstance(await store.replace(A, b"new", old.token, {}), Unknown)

    asyncio.run(run())


def test_a_created_head_that_is_perhaps_not_on_disk_is_unknown(folder: Path) -> None:
    async def run() -> None:
        head = key("_control/swampd/heads/data.json")
        outcome = await open_folder(folder, Failing("sync", errno.EIO)).create(head, b"{}", {})
        assert isinstance(outcome, Unknown)
        with pytest.raises(StoreUnavailable):
            await open_folder(folder, Failing("sync_all", errno.EIO)).create(
                key("_control/swampd/locks/data.json"), b"{}", {}
            )

    asyncio.run(run())


def test_a_link_whose_answer_was_lost_has_happened(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder, Failing("link", errno.EEXIST, done=True))
        token = applied(await store.create(A, b"x", META))
        assert await open_folder(folder).get(A) == Found(token, 1, META, b"x")

    asyncio.run(run())


def test_a_create_does_not_overwrite_what_a_program_has_just_made(folder: Path) -> None:
    class Raced(Hooked):
        def before(self, name: str, arguments: tuple[object, ...]) -> None:
            del arguments
            if name == "link":
                (folder / A).write_bytes(b"by hand")

    async def run() -> None:
        assert await open_folder(folder, Raced()).create(A, b"ours", {}) == Rejected()
        assert (folder / A).read_bytes() == b"by hand"

    asyncio.run(run())


def test_a_delete_that_failed(folder: Path) -> None:
    async def run() -> None:
        old = await old_object(folder)
        assert isinstance(
            await open_folder(folder, Failing("unlink", errno.EIO)).delete(A), Unknown
        )
        await assert_unchanged(folder, old)
        with pytest.raises(StoreUnavailable):
            await open_folder(folder, Failing("unlink", errno.EROFS)).delete(A)
        await assert_unchanged(folder, old)
        # A program was quicker, or the answer to the first sending was lost.
        store = open_folder(folder, Failing("unlink", errno.ENOENT, done=True))
        assert await store.delete_if(A, old.token) == Applied(None)
        assert await open_folder(folder).get(A) == Missing()

    asyncio.run(run())


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_missing_rights_are_denied(folder: Path, code: int) -> None:
    async def run() -> None:
        old = await old_object(folder)
        with pytest.raises(StoreDenied, match="cannot write"):
            await open_folder(folder, Failing("make", code)).create(B, b"", {})
        await assert_unchanged(folder, old)

    asyncio.run(run())


def test_a_name_that_the_file_system_cannot_have_is_refused(folder: Path) -> None:
    async def run() -> None:
        old = await old_object(folder)
        with pytest.raises(KeyRefused, match="what"):
            await open_folder(folder, Failing("link", errno.EINVAL)).create(key("what?"), b"", {})
        await assert_unchanged(folder, old)

    asyncio.run(run())


def test_times_that_never_change_are_refused(folder: Path) -> None:
    class Timeless(Hooked):
        def set_mtime(self, file: int, mtime_ns: int) -> None:
            del mtime_ns
            super().set_mtime(file, 0)

    async def run() -> None:
        store = open_folder(folder, Timeless())
        token = applied(await store.create(A, b"x", {}))
        with pytest.raises(StoreUnavailable, match="times"):
            await store.replace(A, b"y", token, {})

    asyncio.run(run())


def test_a_lock_that_a_stopped_process_holds_does_not_stop_us_for_ever(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        await store.create(A, b"old", {})
        store._writer._lock = StoreLock(store.name, patience_s=0.01)
        with (folder / LOCK).open("rb") as stopped:
            fcntl.flock(stopped, fcntl.LOCK_EX)
            for change in (store.put(A, b"new", {}), store.delete(A)):
                with pytest.raises(StoreUnavailable, match="another process"):
                    await change
            found = await store.get(A)
            assert isinstance(found, Found)
            assert found.body == b"old"
        applied(await store.put(A, b"new", {}))

    asyncio.run(run())


def test_the_lock_is_let_go_whatever_happens(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder, Failing("sync_all", errno.EIO))
        token = applied(await store.create(A, b"old", {}))
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await store.replace(A, b"new", token, {})
        applied(await store.put(A, b"newer", {}))

    asyncio.run(run())


def test_a_lock_file_that_was_removed_is_made_again(folder: Path) -> None:
    async def run() -> None:
        store = open_folder(folder)
        await store.create(A, b"old", {})
        with (folder / LOCK).open("rb") as removed:
            fcntl.flock(removed, fcntl.LOCK_EX)
            (folder / LOCK).unlink()
            applied(await store.put(A, b"new", {}))
        assert (folder / LOCK).exists()

    asyncio.run(run())


def test_a_lock_got_on_a_removed_file_is_no_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = folder / "lock"
    with name.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def remove_and_let_go(_: float) -> None:
            name.unlink()
            fcntl.flock(other, fcntl.LOCK_UN)

        monkeypatch.setattr("swampd.stores.folder.lock.time.sleep", remove_and_let_go)
        control = os.open(folder, os.O_RDONLY)
        with (
            StoreLock("store").held(control),
            name.open("rb") as rival,
            pytest.raises(BlockingIOError),
        ):
            fcntl.flock(rival, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(control)


def test_no_descriptor_is_left_open(folder: Path) -> None:
    async def run() -> None:
        old = await old_object(folder)
        await open_folder(folder).create(key("deep/er/x"), b"", {})
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
        for call in CHANGES:
            for after in range(3):
                store = open_folder(folder, Failing(call, errno.ENOSPC, after))
                for attempt in (
                    store.replace(A, b"x", old.token, {}),
                    store.create(key("deep/n/y"), b"x", {}),
                    store.create(key("deep/er/x/y"), b"x", {}),
                    store.copy_to(A, B, None, {}),
                    store.delete(key("deep/er/none")),
                    store.get(key("deep/er")),
                    store.list(key("deep/")),
                ):
                    try:
                        await attempt
                    except (StoreUnavailable, KeyRefused):
                        continue
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

    asyncio.run(run())
