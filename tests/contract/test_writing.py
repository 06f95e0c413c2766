"""Every write lands or is refused, by the token that it names."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Applied, Found, Missing, Rejected
from swampd.domain.values import Sha256
from swampd.errors import BadRequest, KeyRefused
from swampd.ports import Creation, SealedFile
from swampd.stores.probe import Check
from tests.contract.subjects import META, STRANGE, A, B, Subject, applied, key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from swampd.domain.values import RemoteKey, Token
    from swampd.ports import Body, ObjectStore


async def holds(
    store: ObjectStore, name: RemoteKey, token: Token, body: bytes, metadata: Mapping[str, str]
) -> None:
    found = await store.get(name)
    assert isinstance(found, Found)
    assert (found.token, found.size, found.body) == (token, len(body), body)
    assert dict(found.metadata) == dict(metadata)


def test_create_makes_an_object_that_every_connection_sees(subject: Subject) -> None:
    async def run() -> None:
        token = applied(await subject.store.create(A, b"one", META))
        for store in (subject.store, subject.other):
            await holds(store, A, token, b"one", META)

    asyncio.run(run())


def test_create_is_refused_where_something_is(subject: Subject) -> None:
    async def run() -> None:
        token = applied(await subject.store.create(A, b"one", META))
        assert await subject.other.create(A, b"two", {}) == Rejected()
        assert await subject.store.create(A, b"one", META) == Rejected()
        await holds(subject.store, A, token, b"one", META)

    asyncio.run(run())


def test_create_works_again_after_a_delete(subject: Subject) -> None:
    async def run() -> None:
        applied(await subject.store.create(A, b"one", META))
        await subject.store.delete(A)
        token = applied(await subject.store.create(A, b"two", {}))
        await holds(subject.store, A, token, b"two", {})

    asyncio.run(run())


def test_replace_needs_the_token_of_now(subject: Subject) -> None:
    async def run() -> None:
        old = applied(await subject.store.create(A, b"one", META))
        new = applied(await subject.other.replace(A, b"two", old, {"x": "1"}))
        assert new != old
        await holds(subject.store, A, new, b"two", {"x": "1"})
        for stale in (old, STRANGE):
            assert await subject.store.replace(A, b"three", stale, {}) == Rejected()
        await holds(subject.store, A, new, b"two", {"x": "1"})

    asyncio.run(run())


def test_replace_of_a_missing_object_is_refused(subject: Subject) -> None:
    async def run() -> None:
        assert await subject.store.replace(A, b"one", STRANGE, {}) == Rejected()
        token = applied(await subject.store.create(A, b"one", {}))
        await subject.store.delete(A)
        assert await subject.store.replace(A, b"two", token, {}) == Rejected()
        assert await subject.store.get(A) == Missing()

    asyncio.run(run())


def test_put_writes_whatever_is_there(subject: Subject) -> None:
    async def run() -> None:
        first = applied(await subject.store.put(A, b"one", META))
        await holds(subject.store, A, first, b"one", META)
        second = applied(await subject.store.put(A, b"two", {}))
        await holds(subject.other, A, second, b"two", {})
        assert await subject.store.replace(A, b"three", first, {}) == Rejected()

    asyncio.run(run())


def test_a_token_changes_with_every_write_or_with_the_bytes(subject: Subject) -> None:
    async def run() -> None:
        tokens = [applied(await subject.store.put(A, body, {})) for body in (b"x", b"y", b"x")]
        tokens.append(applied(await subject.store.put(A, b"x", {})))
        assert len(set(tokens)) == (2 if subject.tokens_come_back else 4)
        if subject.tokens_come_back:
            assert tokens[0] == tokens[2] == tokens[3]

    asyncio.run(run())


def test_metadata_alone_can_be_replaced(subject: Subject) -> None:
    async def run() -> None:
        token = applied(await subject.store.create(A, b"x", {"a": "1"}))
        token = applied(await subject.store.replace(A, b"x", token, {"b": "ü"}))
        await holds(subject.store, A, token, b"x", {"b": "ü"})

    asyncio.run(run())


def test_metadata_is_not_shared_with_the_caller(subject: Subject) -> None:
    async def run() -> None:
        metadata = {"a": "1"}
        token = applied(await subject.store.create(A, b"x", metadata))
        metadata["a"] = "2"
        await holds(subject.store, A, token, b"x", {"a": "1"})

    asyncio.run(run())


def test_delete_takes_an_object_away_or_finds_none(subject: Subject) -> None:
    async def run() -> None:
        await subject.store.create(A, b"x", {})
        for _ in range(2):
            assert await subject.other.delete(A) == Applied(None)
            assert await subject.store.get(A) == Missing()
        assert await subject.store.delete(key("never/was/here")) == Applied(None)

    asyncio.run(run())


def test_delete_if_needs_the_token_of_now(subject: Subject) -> None:
    async def run() -> None:
        old = applied(await subject.store.create(A, b"one", {}))
        new = applied(await subject.store.replace(A, b"two", old, {}))
        assert await subject.other.delete_if(A, old) == Rejected()
        await holds(subject.store, A, new, b"two", {})
        assert await subject.other.delete_if(A, new) == Applied(None)
        assert await subject.store.get(A) == Missing()
        assert await subject.store.delete_if(A, new) == Rejected()

    asyncio.run(run())


def test_an_empty_body_is_an_object(subject: Subject) -> None:
    async def run() -> None:
        token = applied(await subject.store.create(A, b"", META))
        await holds(subject.store, A, token, b"", META)

    asyncio.run(run())


def test_copy_that_the_store_lacks_is_a_bug_of_the_caller(subject: Subject) -> None:
    async def run() -> None:
        await subject.store.create(A, b"bytes", {})
        assert subject.store.capabilities.server_copy == (Check.COPY not in subject.lacks)
        if Check.COPY in subject.lacks:
            with pytest.raises(NotImplementedError):
                await subject.store.copy_to(A, B, None, {})

    asyncio.run(run())


def test_copy_to_a_free_key(subject: Subject) -> None:
    async def run() -> None:
        if Check.COPY in subject.lacks:
            return
        source = applied(await subject.store.create(A, b"bytes", {"a": "1"}))
        token = applied(await subject.store.copy_to(A, B, None, META))
        await holds(subject.other, B, token, b"bytes", META)
        await holds(subject.store, A, source, b"bytes", {"a": "1"})
        assert await subject.store.copy_to(A, B, None, {}) == Rejected()
        await holds(subject.other, B, token, b"bytes", META)

    asyncio.run(run())


def test_copy_over_an_object_needs_its_token(subject: Subject) -> None:
    async def run() -> None:
        if Check.COPY in subject.lacks:
            return
        await subject.store.create(A, b"bytes", {})
        old = applied(await subject.store.create(B, b"old", {}))
        assert await subject.store.copy_to(A, B, STRANGE, META) == Rejected()
        token = applied(await subject.store.copy_to(A, B, old, META))
        await holds(subject.store, B, token, b"bytes", META)
        assert await subject.store.copy_to(A, key("free"), STRANGE, META) == Rejected()

    asyncio.run(run())


def test_copy_of_a_missing_object_is_refused(subject: Subject) -> None:
    async def run() -> None:
        if Check.COPY in subject.lacks:
            return
        assert await subject.store.copy_to(A, B, None, {}) == Rejected()
        old = applied(await subject.store.create(B, b"old", {}))
        assert await subject.store.copy_to(A, B, old, {}) == Rejected()
        await holds(subject.store, B, old, b"old", {})

    asyncio.run(run())


def test_a_sealed_file_is_written_whole(subject: Subject, tmp_path: Path) -> None:
    async def run() -> None:
        body = bytes(range(256)) * 10_000 + b"end"
        file = tmp_path / "sealed"
        file.write_bytes(body)
        sealed = SealedFile(str(file), len(body), Sha256(hashlib.sha256(body).hexdigest()))
        token = applied(await subject.store.create(A, sealed, META))
        await holds(subject.store, A, token, body, META)
        token = applied(await subject.store.replace(A, b"small", token, {}))
        token = applied(await subject.store.replace(A, sealed, token, META))
        await holds(subject.store, A, token, body, META)

    asyncio.run(run())


@pytest.mark.parametrize("content", [b"short", b"longer than said", None])
def test_a_sealed_file_that_is_not_what_it_says_is_refused(
    subject: Subject, tmp_path: Path, content: bytes | None
) -> None:
    async def run() -> None:
        file = tmp_path / "sealed"
        if content is not None:
            file.write_bytes(content)
        body: Body = SealedFile(str(file), 10, Sha256("0" * 64))
        with pytest.raises(BadRequest, match="sealed"):
            await subject.store.put(A, body, {})
        assert await subject.store.get(A) == Missing()
        assert not (await subject.store.list(key(""))).rows

    asyncio.run(run())


def test_each_of_many_is_created_as_it_would_be_alone(subject: Subject) -> None:
    async def run() -> None:
        names = [key(f"many/{i:03}") for i in range(130)]
        first = applied(await subject.store.create(names[0], b"first", META))
        creations = [Creation(name, name.encode(), META) for name in names]
        creations += [Creation(key(""), b"x", META), Creation(key("with//odd name"), b"x", META)]
        unwanted = {3, 77}
        answers = list(await subject.other.create_each(creations, lambda i: i not in unwanted))
        there, *created, bad, odd = answers
        assert there == Rejected()
        assert isinstance(bad, KeyRefused)
        assert isinstance(odd, Applied | KeyRefused)
        assert {i for i, answer in enumerate(created, 1) if answer is None} == unwanted
        for name, answer in zip(names[1:], created, strict=True):
            found = await subject.store.get(name)
            if answer is None:
                assert found == Missing()
            else:
                assert isinstance(answer, Applied)
                assert found == Found(applied(answer), len(name), META, name.encode())
        assert (await subject.store.get(names[0])) == Found(first, 5, META, b"first")
        assert list(await subject.store.create_each([], lambda _: True)) == []

    asyncio.run(run())


def test_nothing_is_asked_to_be_sent_once_the_caller_of_many_is_gone(subject: Subject) -> None:
    async def run() -> None:
        asked: list[int] = []
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def may_send(number: int) -> bool:
            asked.append(number)
            loop.call_soon_threadsafe(begun.set)
            return True

        names = [key(f"many/{i:03}") for i in range(600)]
        creations = [Creation(name, b"x", META) for name in names]
        task = asyncio.create_task(subject.store.create_each(creations, may_send))
        await begun.wait()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            before = len(asked)
        else:  # it was through before it could be cancelled, as in memory
            return
        there = {name for name in names if isinstance(await subject.other.head(name), Found)}
        assert len(asked) == before
        assert there <= {names[number] for number in asked}

    asyncio.run(run())
