"""Reads answer one version: its bytes, token and metadata."""

from __future__ import annotations

import asyncio

import pytest

from swampd.domain.outcomes import Applied, Found, Mismatch, Missing, Unchanged
from swampd.domain.values import Token
from swampd.errors import KeyRefused
from swampd.ports import Wanted
from tests.contract.subjects import META, STRANGE, A, Pieces, Subject, applied, key


def test_what_is_not_there_is_missing(subject: Subject) -> None:
    async def run() -> None:
        store = subject.store
        assert await store.get(A) == Missing()
        assert await store.get(A, if_token=STRANGE) == Missing()
        assert await store.get_if_changed(A, STRANGE) == Missing()
        assert await store.head(A) == Missing()

    asyncio.run(run())


def test_a_part_of_a_key_is_no_object(subject: Subject) -> None:
    async def run() -> None:
        await subject.store.create(key("a/b/c"), b"x", {})
        for name in ("a", "a/b", "a/b/c/d", "a/b/c/d/e", "a/b/x"):
            assert await subject.store.get(key(name)) == Missing()
            assert await subject.store.head(key(name)) == Missing()
            assert await subject.store.delete(key(name)) == Applied(None)
        assert isinstance(await subject.store.get(key("a/b/c")), Found)

    asyncio.run(run())


def test_get_on_condition_of_a_token(subject: Subject) -> None:
    async def run() -> None:
        token = applied(await subject.store.create(A, b"one", META))
        found = await subject.store.get(A, if_token=token)
        assert found == Found(token, 3, META, b"one")
        assert await subject.store.get(A, if_token=STRANGE) == Mismatch()
        await subject.store.put(A, b"two", {})
        assert await subject.store.get(A, if_token=token) == Mismatch()

    asyncio.run(run())


def test_get_if_changed(subject: Subject) -> None:
    async def run() -> None:
        old = applied(await subject.store.create(A, b"one", META))
        assert await subject.store.get_if_changed(A, old) == Unchanged()
        new = applied(await subject.other.put(A, b"two", {}))
        assert await subject.store.get_if_changed(A, old) == Found(new, 3, {}, b"two")
        assert await subject.store.get_if_changed(A, new) == Unchanged()

    asyncio.run(run())


def test_head_answers_without_the_body(subject: Subject) -> None:
    async def run() -> None:
        token = applied(await subject.store.create(A, b"twelve bytes", META))
        assert await subject.store.head(A) == Found(token, 12, META, b"")

    asyncio.run(run())


def test_a_sink_gets_all_bytes_in_order(subject: Subject) -> None:
    async def run() -> None:
        body = b"".join(i.to_bytes(4, "big") for i in range(700_000))
        token = applied(await subject.store.put(A, body, META))
        pieces = Pieces()
        found = await subject.store.get(A, sink=pieces)
        assert found == Found(token, len(body), META, b"")
        assert b"".join(pieces.chunks) == body
        assert max(map(len, pieces.chunks)) <= 1 << 20

    asyncio.run(run())


def test_a_sink_gets_nothing_of_another_version(subject: Subject) -> None:
    async def run() -> None:
        await subject.store.put(A, b"x", {})
        pieces = Pieces()
        other = Token("other", "17")
        assert await subject.store.get(A, if_token=other, sink=pieces) == Mismatch()
        assert await subject.store.get(key("none"), sink=pieces) == Missing()
        assert not pieces.chunks

    asyncio.run(run())


def test_an_error_of_the_sink_is_the_callers(subject: Subject) -> None:
    def full(chunk: bytes) -> None:
        raise OSError(28, f"the cache is full, no room for {len(chunk)}")

    async def run() -> None:
        await subject.store.put(A, b"x", {})
        with pytest.raises(OSError, match="the cache is full"):
            await subject.store.get(A, sink=full)

    asyncio.run(run())


def test_each_of_many_is_read_as_it_would_be_alone(subject: Subject) -> None:
    async def run() -> None:
        names = [key(f"many/{i:03}") for i in range(130)]
        tokens = [applied(await subject.store.create(name, name.encode(), META)) for name in names]
        wanted = [Wanted(name) for name in names]
        wanted += [Wanted(names[0], tokens[0]), Wanted(names[0], STRANGE), Wanted(key("many/x"))]
        wanted += [Wanted(key("")), Wanted(key("with//odd name"))]
        *whole, same, other, gone, bad, odd = await subject.other.get_each(wanted)
        assert whole == [
            Found(token, len(name), META, name.encode())
            for name, token in zip(names, tokens, strict=True)
        ]
        assert (same, other, gone) == (whole[0], Mismatch(), Missing())
        assert isinstance(bad, KeyRefused)
        assert isinstance(odd, Missing | KeyRefused)
        assert list(await subject.store.get_each([])) == []

    asyncio.run(run())
