"""A process that dies at any of its steps leaves each object as it was, or as it was to be.

Enumerated: every change is run once to the end, then once for each of its system calls, dying
before it (a write in the middle of it).  `Dying` stands for `kill -9`: not even clean-up goes on.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Applied, Found, Missing
from swampd.domain.values import Sha256
from swampd.ports import SealedFile
from tests.contract.subjects import META, A, B, applied, key
from tests.unit.stores.forcing import Death, Dying, Portable, open_folder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from swampd.domain.outcomes import WriteOutcome
    from swampd.domain.values import RemoteKey, Token
    from swampd.stores.directory import DirectoryStore

C = key("deep/er/c.yaml")
HEAD = key("_control/swampd/heads/data.json")
OLD = b"the old bytes"
NEW = b"new"
NEW_META = {"swampd": "1 new 8 d"}


@dataclass(frozen=True)
class Content:
    """What an object holds, its token aside."""

    body: bytes
    metadata: dict[str, str]


@dataclass(frozen=True)
class Case:
    """A change of one object, from a state to another (None: not there)."""

    target: RemoteKey
    before: Content | None
    after: Content | None
    change: Callable[[DirectoryStore], Awaitable[WriteOutcome]]
    foreign: bool = False


OURS = Content(OLD, META)
FOREIGN = Content(OLD, {})
WRITTEN = Content(NEW, NEW_META)


async def replace(store: DirectoryStore) -> WriteOutcome:
    return await store.replace(A, NEW, await token_of(store, A), NEW_META)


async def delete_if(store: DirectoryStore) -> WriteOutcome:
    return await store.delete_if(A, await token_of(store, A))


async def copy_over(store: DirectoryStore) -> WriteOutcome:
    return await store.copy_to(B, A, await token_of(store, A), NEW_META)


async def token_of(store: DirectoryStore, name: RemoteKey) -> Token:
    found = await store.head(name)
    assert isinstance(found, Found)
    return found.token


CASES = {
    "create": Case(C, None, WRITTEN, lambda store: store.create(C, NEW, NEW_META)),
    "create document": Case(HEAD, None, WRITTEN, lambda store: store.create(HEAD, NEW, NEW_META)),
    "put new": Case(C, None, WRITTEN, lambda store: store.put(C, NEW, NEW_META)),
    "put over": Case(A, OURS, WRITTEN, lambda store: store.put(A, NEW, NEW_META)),
    "put over foreign": Case(
        A, FOREIGN, WRITTEN, lambda store: store.put(A, NEW, NEW_META), foreign=True
    ),
    "replace": Case(A, OURS, WRITTEN, replace),
    "replace foreign": Case(A, FOREIGN, WRITTEN, replace, foreign=True),
    "delete": Case(A, OURS, None, lambda store: store.delete(A)),
    "delete if": Case(A, OURS, None, delete_if),
    "delete foreign": Case(A, FOREIGN, None, lambda store: store.delete(A), foreign=True),
    "copy new": Case(C, None, WRITTEN, lambda store: store.copy_to(B, C, None, NEW_META)),
    "copy over": Case(A, OURS, WRITTEN, copy_over),
}


def fresh(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


async def prepare(folder: Path, case: Case) -> None:
    fresh(folder)
    store = open_folder(folder)
    # The object under test has a history: its side file names two versions.
    if case.foreign:
        (folder / A).parent.mkdir()
        (folder / A).write_bytes(OLD)
    else:
        await store.put(A, b"older", {})
        await store.put(A, OLD, META)
    await store.put(B, NEW, {})


async def content(store: DirectoryStore, name: RemoteKey) -> Content | None:
    found = await store.get(name)
    if isinstance(found, Missing):
        return None
    assert isinstance(found, Found)
    return Content(found.body, dict(found.metadata))


async def check(folder: Path, case: Case) -> Content | None:
    """Every face of the store agrees on one whole state; it is fit for further changes."""
    store = open_folder(folder)
    now = await content(store, case.target)
    assert now in (case.before, case.after)
    expected = {str(name) for name in (A, B) if name != case.target}
    if now is not None:
        expected.add(case.target)
    rows = {row.key: row for row in (await store.list(key(""))).rows}
    assert set(rows) == expected
    for name, row in rows.items():
        found = await store.get(key(name), if_token=row.token)
        assert isinstance(found, Found)
        assert found.size == row.size == len(found.body)
    assert await content(store, B) == Content(NEW, {})
    return now


async def go_on(folder: Path, case: Case) -> None:
    """The next writer goes on from whatever was left."""
    store = open_folder(folder)
    found = await store.get(case.target)
    if isinstance(found, Found):
        assert applied(await store.replace(case.target, b"next", found.token, {})) != found.token
    else:
        applied(await store.create(case.target, b"next", {}))
    assert await content(store, case.target) == Content(b"next", {})
    assert await store.delete(case.target) == Applied(None)
    assert await store.get(case.target) == Missing()


async def count_calls(folder: Path, case: Case) -> list[str]:
    await prepare(folder, case)
    calls = Dying(-1)
    outcome = await case.change(open_folder(folder, calls))
    assert isinstance(outcome, Applied)
    assert await check(folder, case) == case.after
    await go_on(folder, case)
    return calls.names


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_death_at_any_step_leaves_the_old_or_the_new(tmp_path: Path, case: Case) -> None:
    async def run() -> None:
        names = await count_calls(tmp_path / "whole", case)
        ends: set[bool] = set()
        for step, name in enumerate(names):
            folder = tmp_path / str(step)
            await prepare(folder, case)
            before = await open_folder(folder).head(case.target)
            with pytest.raises(Death):
                await case.change(open_folder(folder, Dying(step)))
            now = await check(folder, case)
            ends.add(now == case.after)
            if now == case.before and isinstance(before, Found):
                assert await open_folder(folder).head(case.target) == before, name
            await go_on(folder, case)
        # What makes a change happen is neither its first call nor its last.
        assert ends == {False, True} or names[-1] in {"rename", "unlink"}

    asyncio.run(run())


@pytest.mark.parametrize("case", [CASES["put over"], CASES["delete"]], ids=["put over", "delete"])
def test_a_second_death_at_any_step_after_the_first(tmp_path: Path, case: Case) -> None:
    async def run() -> None:
        names = await count_calls(tmp_path / "whole", case)
        for first in range(len(names)):
            for second in range(len(names)):
                folder = tmp_path / f"{first}-{second}"
                await prepare(folder, case)
                for step in (first, second):
                    # The second change may have less to do after the first.
                    with suppress(Death):
                        await case.change(open_folder(folder, Dying(step)))
                    await check(folder, case)
                await go_on(folder, case)

    asyncio.run(run())


def test_a_death_in_the_middle_of_a_large_body_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        large = tmp_path / "large"
        large.write_bytes(b"x" * (3 << 20))
        sealed = SealedFile(str(large), 3 << 20, Sha256("0" * 64))
        writes = [
            at
            for at, name in enumerate(await names_of(tmp_path / "whole", sealed))
            if name == "write"
        ]
        assert len(writes) == 4
        for step in writes:
            folder = fresh(tmp_path / str(step))
            with pytest.raises(Death):
                await open_folder(folder, Dying(step)).create(A, sealed, META)
            assert await open_folder(folder).get(A) == Missing()
            assert not (await open_folder(folder).list(key(""))).rows

    asyncio.run(run())


async def names_of(folder: Path, sealed: SealedFile) -> list[str]:
    fresh(folder)
    calls = Dying(-1)
    applied(await open_folder(folder, calls).create(A, sealed, META))
    return calls.names


def order(names: list[str], *wanted: str) -> bool:
    rest = iter(names)
    return all(name in rest for name in wanted)


def test_a_conditional_replace_is_on_disk_before_and_after_its_rename(tmp_path: Path) -> None:
    async def run() -> None:
        names = await count_calls(tmp_path / "replace", CASES["replace"])
        assert order(names, "write", "set_mtime", "write", "rename", "sync_all", "rename", "sync")
        assert names.count("sync_all") == 1
        for case in ("create", "put new", "put over", "delete"):
            names = await count_calls(tmp_path / case, CASES[case])
            assert "sync_all" not in names
            assert "sync" not in names

    asyncio.run(run())


@pytest.mark.parametrize(
    ("rest", "durable"),
    [
        ("heads/data.json", True),
        ("locks/%25all.json", True),
        ("layout.json", True),
        ("what-comes-later/x", True),
        ("manifests/w.json.gz", False),
        ("staged/w", False),
        ("probe/w", False),
    ],
)
@pytest.mark.parametrize("prefix", ["", "name/space/"])
def test_a_created_document_is_on_disk_before_and_after_its_link(
    tmp_path: Path, prefix: str, rest: str, *, durable: bool
) -> None:
    """There is no replace yet that would put it there; what only a head names waits for that."""

    async def run() -> None:
        calls = Dying(-1)
        store = open_folder(fresh(tmp_path / "store"), calls)
        applied(await store.create(key(f"{prefix}_control/swampd/{rest}"), NEW, {}))
        assert order(calls.names, "rename", "sync_all", "link", "sync") is durable
        assert calls.names.count("sync_all") == calls.names.count("sync") == durable

    asyncio.run(run())


def test_payload_that_only_looks_like_a_document_is_not_synced(tmp_path: Path) -> None:
    async def run() -> None:
        calls = Dying(-1)
        store = open_folder(fresh(tmp_path / "store"), calls)
        for name in ("heads/data.json", "swampd/heads/x", "_control/heads/x", "a/_control"):
            applied(await store.create(key(name), NEW, {}))
        assert not {"sync", "sync_all"} & set(calls.names)

    asyncio.run(run())


def test_without_syncfs_each_write_is_on_disk_by_itself(tmp_path: Path) -> None:
    class Watched(Portable):
        synced = 0

        def sync(self, file: int) -> None:
            self.synced += 1
            super().sync(file)

    async def run() -> None:
        for change in (CASES["create"], CASES["replace"]):
            calls = Watched()
            folder = tmp_path / str(change.target).replace("/", "-")
            await prepare(folder, change)
            assert isinstance(await change.change(open_folder(folder, calls)), Applied)
            # Side file, draft, and the folder of the rename.
            assert calls.synced == 3

    asyncio.run(run())
