"""Listings: string prefix, UTF-8 byte order, pages of 1,000."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swampd.domain.outcomes import Found, Listed
from tests.contract.subjects import A, Subject, applied, key, many_requests

if TYPE_CHECKING:
    from swampd.ports import ObjectStore


async def listed(store: ObjectStore, prefix: str = "") -> list[Listed]:
    rows: list[Listed] = []
    after: str | None = None
    while True:
        page = await store.list(key(prefix), after)
        assert len(page.rows) <= 1000
        rows.extend(page.rows)
        if page.after is None:
            return rows
        assert page.rows[-1].key == page.after
        after = page.after


async def names(store: ObjectStore, prefix: str = "") -> list[str]:
    return [row.key for row in await listed(store, prefix)]


def test_an_empty_store_lists_nothing(subject: Subject) -> None:
    async def run() -> None:
        assert await names(subject.store) == []
        assert await names(subject.store, "data/") == []

    asyncio.run(run())


def test_rows_carry_the_token_and_size_that_a_read_gives(subject: Subject) -> None:
    async def run() -> None:
        token = applied(await subject.store.create(A, b"four", {}))
        assert await listed(subject.store) == [Listed(A, token, 4)]
        found = await subject.store.head(A)
        assert isinstance(found, Found)
        assert found.token == token

    asyncio.run(run())


def test_what_was_deleted_is_not_listed(subject: Subject) -> None:
    async def run() -> None:
        for name in ("a/1", "a/2", "a/b/c/3"):
            await subject.store.create(key(name), b"", {})
        await subject.store.delete(key("a/b/c/3"))
        await subject.store.delete(key("a/1"))
        assert await names(subject.other) == ["a/2"]

    asyncio.run(run())


@many_requests
def test_2500_keys_come_in_three_pages_in_byte_order(subject: Subject) -> None:
    async def run() -> None:
        keys = [f"heads/{i % 3}-{i:05}.json" for i in range(1500)]
        keys += [f"heads/{i % 5}/{i}" for i in range(1000)]
        await asyncio.gather(*(subject.store.put(key(name), b"x", {}) for name in keys))
        await subject.store.put(key("other"), b"x", {})
        assert await names(subject.store, "heads/") == sorted(keys, key=str.encode)
        first = await subject.store.list(key("heads/"))
        assert len(first.rows) == 1000
        assert first.after == sorted(keys)[999]
        assert (await subject.store.list(key("heads/"), "heads/z")).rows == ()

    asyncio.run(run())


@many_requests
def test_a_full_last_page_ends_the_listing(subject: Subject) -> None:
    async def run() -> None:
        for i in range(1000):
            await subject.store.put(key(f"k{i:04}"), b"", {})
        page = await subject.store.list(key(""))
        assert (len(page.rows), page.after) == (1000, None)

    asyncio.run(run())


def test_the_order_is_that_of_bytes_across_folders(subject: Subject) -> None:
    keys = [
        "a-b",
        "a/b",
        "a0",
        "a/b-c/d",
        "a/b!",
        "a.b/c",
        "Z",
        "é",
        "z/é",
        "z/e",
        "\U0001f600",
        "\uffee",
    ]

    async def run() -> None:
        for name in keys:
            if name != "a/b":
                await subject.store.put(key(name), b"", {})
        expected = sorted((name for name in keys if name != "a/b"), key=str.encode)
        assert await names(subject.store) == expected
        for name in expected:
            page = await subject.store.list(key(""), name)
            assert [row.key for row in page.rows] == expected[expected.index(name) + 1 :]

    asyncio.run(run())


def test_after_need_not_be_a_key(subject: Subject) -> None:
    async def run() -> None:
        for name in ("a/1", "a/2", "b/1", "c"):
            await subject.store.put(key(name), b"", {})
        for after, rest in {
            "": ["a/1", "a/2", "b/1", "c"],
            "a": ["a/1", "a/2", "b/1", "c"],
            "a/": ["a/1", "a/2", "b/1", "c"],
            "a/1x": ["a/2", "b/1", "c"],
            "a/2/x": ["b/1", "c"],
            "a0": ["b/1", "c"],
            "b/~": ["c"],
            "zz": [],
        }.items():
            page = await subject.store.list(key(""), after)
            assert [row.key for row in page.rows] == rest, after

    asyncio.run(run())


def test_a_prefix_is_a_string_prefix(subject: Subject) -> None:
    async def run() -> None:
        keys = ["data/a", "data/ab/c", "data/abc", "data/b", "database", "dat"]
        for name in keys:
            await subject.store.put(key(name), b"", {})
        for prefix in (
            "",
            "d",
            "dat",
            "data",
            "data/",
            "data/a",
            "data/ab",
            "data/ab/",
            "data/ab/c",
            "data/ab/cd",
            "data/x",
            "x/y",
            "data/a/",
            "dat/",
            "../",
            "/",
            "data//",
            "./data",
            "data/../data/",
        ):
            expected = sorted(name for name in keys if name.startswith(prefix))
            assert await names(subject.store, prefix) == expected, prefix

    asyncio.run(run())


@many_requests
def test_a_listing_goes_on_while_objects_come_and_go(subject: Subject) -> None:
    fixed = [f"fixed/{i:04}" for i in range(1200)]

    async def churn() -> None:
        for i in range(100):
            await subject.other.put(key(f"churn/{i % 7}/{i}"), b"", {})
            await subject.other.delete(key(f"churn/{(i - 3) % 7}/{i - 3}"))

    async def watch() -> None:
        for _ in range(4):
            rows = await names(subject.store)
            assert [name for name in rows if name.startswith("fixed")] == fixed
            assert rows == sorted(set(rows))

    async def run() -> None:
        for name in fixed:
            await subject.store.put(key(name), b"", {})
        await asyncio.gather(churn(), watch())

    asyncio.run(run())
