"""Keys as people and programs spell them."""

from __future__ import annotations

import asyncio

import pytest

from swampd.domain.outcomes import Applied, Found, Missing
from swampd.errors import KeyRefused
from tests.contract.subjects import META, Subject, applied, key
from tests.contract.test_listing import names

ODD = [
    "with space/and  two.yaml",
    "percent%20/100%/%2F",
    "plus+and&?#=;:,'\"<>|*",
    "ünï/cødé/日本語.yaml",
    "e\u0301 and \u00e9",
    "\U0001f40a/swamp",
    "back\\slash",
    "tab\tnewline\nbell\a",
    "-rf",
    "~/home",
    ".hidden/.lock",
    "...",
    "a.b/c..d/..e",
    "_control/other",
    "_control/swampd/locks/%all.json",
    "_control/swampd/lockstep",
    "team/_control/swampd/tmp/x",
    "x" * 255,
    "é" * 127 + "x/" + "y" * 255,
    "/".join(["z" * 255] * 4) + "",
    "/".join(["d"] * 512),
]


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_an_odd_key_is_a_key(subject: Subject, name: str) -> None:
    async def run() -> None:
        odd = key(name)
        if not subject.can_hold(name):
            assert not isinstance(await subject.store.create(odd, b"body", META), Applied)
            return
        token = applied(await subject.store.create(odd, b"body", META))
        assert await subject.other.get(odd) == Found(token, 4, META, b"body")
        assert await names(subject.store) == [name]
        assert await names(subject.store, name) == [name]
        applied(await subject.store.replace(odd, b"more", token, {}))
        assert await subject.store.delete(odd) == Applied(None)
        assert await subject.store.get(odd) == Missing()
        assert await names(subject.store) == []

    asyncio.run(run())


def test_odd_keys_are_all_apart(subject: Subject) -> None:
    async def run() -> None:
        odd = [name for name in ODD if subject.can_hold(name)]
        for index, name in enumerate(odd):
            applied(await subject.store.create(key(name), str(index).encode(), {}))
        for index, name in enumerate(odd):
            found = await subject.store.get(key(name))
            assert isinstance(found, Found)
            assert found.body == str(index).encode()
        assert await names(subject.store) == sorted(odd, key=str.encode)

    asyncio.run(run())


@pytest.mark.parametrize("name", ["", "x/" * 512 + "x", "é" * 513, "lone \ud800 surrogate"])
def test_an_impossible_key_is_refused(subject: Subject, name: str) -> None:
    async def run() -> None:
        store, bad = subject.store, key(name)
        for attempt in (
            store.get(bad),
            store.head(bad),
            store.create(bad, b"", {}),
            store.delete(bad),
        ):
            with pytest.raises(KeyRefused):
                await attempt

    asyncio.run(run())
