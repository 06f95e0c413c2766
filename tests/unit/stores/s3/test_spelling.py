"""A key goes out as it is, by whichever library sends it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from swampd.domain.datastores import CloudEnvironment
from swampd.domain.outcomes import Applied, Found
from swampd.domain.paths import KEY_LIMIT
from swampd.stores.s3.control import Control
from swampd.stores.s3.credentials import Chain
from swampd.stores.s3.faults import Faults
from swampd.stores.s3.payload import Payload, can_spell
from tests.servers.clients import BUCKET, credentials_file
from tests.servers.responder import Responder
from tests.servers.stores import settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), max_size=12),
    st.sampled_from([".", "..", "", "...", "~", "%2F", "%", "+", " ", "a b", "\\", "?x", "#y"]),
)
KEYS = st.lists(PARTS, min_size=1, max_size=4).map("/".join).filter(bool)


class Wire:
    """A server that keeps what it is sent, and both ways to it."""

    def __init__(self, server: Responder, control: Control, payload: Payload) -> None:
        self._server = server
        self.control = control
        self.payload = payload

    def key(self) -> str:
        """Of the last request."""
        return self._server.requests()[-1].key


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    file = credentials_file(tmp_path_factory.mktemp("home"))
    environment = CloudEnvironment(shared_credentials_file=str(file))
    with closing(Responder(buckets=[BUCKET]).start()) as server:
        where, chain = settings_for(server.url), Chain(environment)
        faults = Faults(where, environment, chain)
        control = Control(where, chain, faults, 1)
        yield Wire(server, control, Payload(control, where, chain, faults))
        control.close()


@given(key=KEYS)
@example(key="a b/ü+%25?x#y&z=1;'\"<>|*")
@example(key="a\\b~!@$^(),:{}[]`")
@example(key="\U0001f40a/\u200b/\ufeff")
@settings(max_examples=200, deadline=None)
def test_what_obstore_can_spell_it_sends_as_it_is(wire: Wire, key: str) -> None:
    assume(len(key.encode()) <= KEY_LIMIT)
    assume(can_spell(key))
    outcome = wire.payload.create(key, key.encode(), {})
    assert wire.key() == key
    found = wire.payload.get(key, None)
    assert wire.key() == key
    assert isinstance(found, Found)
    assert found.body == key.encode()
    assert not isinstance(outcome, Applied) or outcome.token == found.token


@given(key=KEYS)
@example(key="/")
@example(key="a//b")
@example(key="../a/./b/")
@example(key="a\x00b\x01\x1f\x7f\x85")
@example(key="line\r\nend\ttab")
@settings(max_examples=200, deadline=None)
def test_boto3_sends_any_key_as_it_is(wire: Wire, key: str) -> None:
    assume(len(key.encode()) <= KEY_LIMIT)
    assert isinstance(wire.control.put(key, key.encode(), {}), Applied)
    assert wire.key() == key
    found = wire.control.get(key)
    assert wire.key() == key
    assert isinstance(found, Found)
    assert found.body == key.encode()
    page = wire.control.list(key, None)
    assert page.rows[0].key == key
    assert wire.control.delete(key) == Applied(None)
    assert wire.key() == key


@pytest.mark.parametrize(
    "key", ["/a", "a/", "a//b", ".", "a/../b", "./a", "a\nb", "a\x7f", "a\u0085", "a\u2028b"]
)
def test_what_obstore_would_change_or_refuse_is_not_for_it(key: str) -> None:
    assert not can_spell(key)


@pytest.mark.parametrize("key", ["a", "a/b", "...", ".a/..b/c..", "a b", "%2F", "~", "é/日本"])
def test_what_people_write_is(key: str) -> None:
    assert can_spell(key)
