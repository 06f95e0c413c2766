"""Keys: where things are under a prefix, and which keys of a listing are ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain import scopes
from swampd.domain.layout import Keys
from swampd.domain.paths import PathProblem, parse_cache_path, parse_scope
from swampd.domain.values import CachePath, RemoteKey, Scope, Wid

WID = Wid("0" * 32)
PREFIXES = ["", "p", "team/ns"]


@pytest.mark.parametrize(("prefix", "before"), [("", ""), ("p", "p/"), ("team/ns", "team/ns/")])
def test_everything_has_one_key_under_the_prefix(prefix: str, before: str) -> None:
    keys = Keys(prefix)
    scope = Scope("data/x")
    assert keys.payload(CachePath("data/x/1")) == f"{before}data/x/1"
    assert keys.layout == f"{before}_control/swampd/layout.json"
    assert keys.lock(scope) == f"{before}_control/swampd/locks/data%2Fx.json"
    assert keys.head(scope) == f"{before}_control/swampd/heads/data%2Fx.json"
    assert keys.manifest(WID) == f"{before}_control/swampd/manifests/{WID}.json.gz"
    assert keys.staged(WID) == f"{before}_control/swampd/staged/{WID}"
    assert keys.probe(WID) == f"{before}_control/swampd/probe/{WID}"
    assert keys.locks == f"{before}_control/swampd/locks/"
    assert keys.heads == f"{before}_control/swampd/heads/"
    assert keys.all == before
    assert keys.prefix_bytes == len(before)


@given(st.sampled_from(PREFIXES), st.text(st.characters(codec="utf-8")))
def test_a_scope_comes_back_from_its_lock_and_head(prefix: str, raw: str) -> None:
    keys = Keys(prefix)
    scope = parse_scope(raw, allow_all=True)
    if isinstance(scope, PathProblem):
        return
    known = scope if scopes.fits_a_key(scope) else None
    assert keys.scope_of(keys.lock(scope)) == known
    assert keys.scope_of(keys.head(scope)) == known


@pytest.mark.parametrize("scope", [scopes.ALL, scopes.ROOT])
def test_the_scopes_with_names_of_their_own_come_back(scope: Scope) -> None:
    assert Keys("p").scope_of(Keys("p").lock(scope)) == scope


@pytest.mark.parametrize(
    "rest",
    [
        "layout.json",
        f"manifests/{WID}.json.gz",
        "heads/data",
        "heads/.json",
        "heads/.swampd.json",
        "heads/...json",
        "heads/a/b.json",
        "heads/data%2F..%2F..%2Fx.json",
        "heads/%2Fetc.json",
        "heads/data%2F.json",
        "heads/.%2Fdata.json",
        "heads/%2A.json",
        "heads/%00.json",
        "heads/_control.json",
        "heads/" + "a" * 201 + ".json",
        "headsx/data.json",
    ],
)
def test_a_key_that_is_no_scopes_is_nobodys(rest: str) -> None:
    assert Keys("p").scope_of(RemoteKey(f"p/_control/swampd/{rest}")) is None


@pytest.mark.parametrize(
    "key", ["p/data/x.json", "x.json", "_control/swampd/heads/x.json", "q/_control/swampd/heads/x"]
)
def test_a_key_elsewhere_is_no_scopes(key: str) -> None:
    assert Keys("p").scope_of(RemoteKey(key)) is None


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_payload_key_gives_its_path(prefix: str) -> None:
    keys = Keys(prefix)
    path = parse_cache_path("data/x/1")
    assert not isinstance(path, PathProblem)
    assert keys.path_of(keys.payload(path)) == path


def test_a_key_outside_the_prefix_has_no_path() -> None:
    assert Keys("p").path_of(RemoteKey("px/a")) is None
    assert Keys("p").path_of(RemoteKey("p")) is None
    assert Keys("p").path_of(RemoteKey("a")) is None
