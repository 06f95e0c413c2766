"""What the simulator uses of the store in memory, beyond the contract."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from swampd.domain.outcomes import Applied, Found, Missing, Rejected
from swampd.domain.values import Sha256, Token
from swampd.ports import SealedFile, StoreCapabilities
from swampd.stores.memory import Dialect, MemoryObjects, MemoryStore, StoredObject
from tests.contract.subjects import META, A, B, applied, key


def test_a_request_can_be_applied_late() -> None:
    objects = MemoryObjects(Dialect.S3)
    token = objects.put(A, b"one", {}).token
    assert token is not None
    late = partial(objects.replace, A, b"two", token, META)
    assert asyncio.run(MemoryStore(objects).delete_if(A, token)) == Applied(None)
    assert late() == Rejected()
    assert objects.get(A) == Missing()


def test_s3_tokens_come_back_with_the_bytes() -> None:
    objects = MemoryObjects(Dialect.S3)
    first = objects.put(A, b"x", {"a": "1"}).token
    objects.put(A, b"y", {})
    assert first is not None
    assert objects.replace(A, b"z", first, {}) == Rejected()
    assert objects.put(A, b"x", {"b": "2"}).token == first
    assert isinstance(objects.replace(A, b"z", first, {}), Applied)
    assert objects.put(B, b"x", {}).token == first


def test_gcs_generations_never_come_back_and_alone_count() -> None:
    objects = MemoryObjects(Dialect.GCS)
    tokens = [objects.put(A, b"x", {}).token for _ in range(3)]
    objects.delete(A)
    tokens.append(objects.put(A, b"x", {}).token)
    assert len({token and token.version for token in tokens}) == 4
    last = tokens[-1]
    assert last is not None
    assert objects.get(A, Token("any e_tag", last.version)) == Found(last, 1, {}, b"x")
    assert objects.replace(A, b"y", Token(last.e_tag, "999"), {}) == Rejected()
    assert isinstance(objects.replace(A, b"y", Token("", last.version), {}), Applied)


def test_a_checker_sees_the_object_itself() -> None:
    objects = MemoryObjects(Dialect.S3)
    assert objects.look(A) is None
    token = objects.put(A, b"x", META).token
    assert token is not None
    assert objects.look(A) == StoredObject(token, b"x", META)


def test_what_a_store_cannot_do_is_not_asked_of_it() -> None:
    poor = StoreCapabilities(conditional_delete=False, server_copy=False)
    store = MemoryStore(MemoryObjects(Dialect.S3, poor), "poor")
    assert (store.name, store.capabilities) == ("poor", poor)

    async def run() -> None:
        token = applied(await store.create(A, b"x", {}))
        with pytest.raises(NotImplementedError):
            await store.delete_if(A, token)
        with pytest.raises(NotImplementedError):
            await store.copy_to(A, B, None, {})
        assert isinstance(await store.get(A), Found)
        await store.close()

    asyncio.run(run())


def test_sealed_bodies_may_live_elsewhere() -> None:
    sealed = SealedFile("sealed/1", 3, Sha256("0" * 64))
    store = MemoryStore(
        MemoryObjects(Dialect.S3),
        read_body=lambda body: b"abc" if isinstance(body, SealedFile) else body,
    )
    token = applied(asyncio.run(store.create(key("k"), sealed, {})))
    assert asyncio.run(store.get(key("k"))) == Found(token, 3, {}, b"abc")
