"""Scopes: how they are spelt in keys, and what lies in which."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain import scopes
from swampd.domain.paths import PathProblem, parse_cache_path, parse_scope
from swampd.domain.scopes import ALL, ROOT
from swampd.domain.values import CachePath, Scope

UTF8 = st.text(st.characters(codec="utf-8"), min_size=1)
SEGMENT = st.text("abcä%*.~ ", min_size=1, max_size=6)
PATH = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("scope", "segment"),
    [
        (ALL, "%all"),
        (ROOT, "%root"),
        (Scope("data"), "data"),
        (Scope("data/aws-ec2/x"), "data%2Faws-ec2%2Fx"),
        (Scope("@me_x.y-z"), "@me_x.y-z"),
        (Scope("~ä b+"), "%7E%C3%A4%20b%2B"),
        (Scope("%all"), "%25all"),
        (Scope("a/*"), "a%2F%2A"),
    ],
)
def test_a_scope_is_one_key_segment(scope: Scope, segment: str) -> None:
    assert scopes.escape(scope) == segment
    assert scopes.unescape(segment) == scope


@given(UTF8)
def test_every_name_comes_back_from_its_key(name: str) -> None:
    segment = scopes.escape(Scope(name))
    assert re.fullmatch(r"(?:[A-Za-z0-9._@-]|%[0-9A-F]{2})+|%all|%root", segment)
    assert scopes.unescape(segment) == name


@pytest.mark.parametrize(
    "segment",
    [
        "",
        ".",
        "*",
        "%",
        "%4",
        "%41",
        "%2f",
        "%2A",
        "%2E",
        "%zz",
        "%+1",
        "% 1",
        "%ALL",
        "%ff",
        "%C3",
        "%ED%A0%80",
        "a b",
        "a/b",
        "a~",
        "ä",
        "a\udcff",
        "a" + chr(0xD800),
        "\0",
    ],
)
def test_a_segment_that_no_scope_is_spelt_so_is_refused(segment: str) -> None:
    assert scopes.unescape(segment) is None


@given(st.text(max_size=20) | st.text("%0123456789abcdefABCDEF.*/", max_size=12))
def test_two_segments_never_spell_one_scope(segment: str) -> None:
    scope = scopes.unescape(segment)
    if scope is not None:
        assert scopes.escape(scope) == segment


def test_a_scope_whose_key_would_be_too_long_has_none() -> None:
    assert scopes.fits_a_key(ALL)
    assert scopes.fits_a_key(Scope("a" * 200))
    assert not scopes.fits_a_key(Scope("a" * 201))
    assert scopes.fits_a_key(Scope("data/" + "ä" * 32))
    assert not scopes.fits_a_key(Scope("data/" + "ä" * 33))


def test_the_top_level_is_declared_by_itself() -> None:
    assert scopes.is_top(ROOT)
    assert scopes.is_top(Scope("data"))
    assert not scopes.is_top(ALL)
    assert not scopes.is_top(Scope("data/x"))


def test_a_path_has_a_top_level_scope() -> None:
    assert scopes.top_of("data/x/y") == "data"
    assert scopes.top_of("file") == ROOT
    assert scopes.top_scope(Scope("data/x/y")) == "data"
    assert scopes.top_scope(Scope("data")) == "data"
    assert scopes.top_scope(ROOT) == ROOT


@pytest.mark.parametrize(
    ("scope", "above"),
    [
        (ALL, ()),
        (ROOT, (ALL,)),
        (Scope("data"), (ALL,)),
        (Scope("data/x"), (Scope("data"), ALL)),
        (Scope("data/x/y"), (Scope("data"), ALL)),
    ],
)
def test_gates_may_stand_on_the_top_level_and_on_everything(
    scope: Scope, above: tuple[Scope, ...]
) -> None:
    assert scopes.ancestors(scope) == above
    assert all(scopes.is_below(scope, gate) for gate in above)
    assert not scopes.is_below(scope, scope)


def test_a_gate_on_a_name_does_not_cover_what_only_begins_like_it() -> None:
    assert not scopes.is_below(Scope("database/x"), Scope("data"))
    assert not scopes.is_below(Scope("data"), ROOT)


@pytest.mark.parametrize(
    ("scope", "path", "inside"),
    [
        (ALL, "a/b", True),
        (ROOT, "a", True),
        (ROOT, "a/b", False),
        (Scope("a"), "a/b", True),
        (Scope("a"), "a", False),
        (Scope("a"), "ab/c", False),
        (Scope("a/b"), "a/b/c/d", True),
        (Scope("a/b"), "a/c", False),
    ],
)
def test_a_scope_contains_what_is_below_its_directory(
    scope: Scope,
    path: str,
    inside: bool,  # noqa: FBT001
) -> None:
    assert scopes.contains(scope, path) is inside


def test_the_declared_child_speaks_for_what_is_below_it() -> None:
    children = [Scope("data/x"), Scope("data/y")]
    assert scopes.owner_of(CachePath("data/y/1"), children) == "data/y"
    assert scopes.owner_of(CachePath("data/yy/1"), children) == "data"
    assert scopes.owner_of(CachePath("data/x"), children) == "data"
    assert scopes.owner_of(CachePath("file"), children) == ROOT


@given(PATH, st.lists(PATH, max_size=3))
def test_the_owner_of_a_path_contains_it(raw: str, declared: list[str]) -> None:
    path = parse_cache_path(raw)
    if not isinstance(path, PathProblem):
        owner = scopes.owner_of(path, [Scope(child) for child in declared])
        assert scopes.contains(owner, path)


def test_a_scope_is_entangled_with_what_it_is_in_and_with_what_is_in_it() -> None:
    declared = [Scope("data/x"), Scope("data/y/z")]
    assert scopes.entangled(Scope("data/x/1"), declared) == "data/x"
    assert scopes.entangled(Scope("data/y"), declared) == "data/y/z"
    assert scopes.entangled(Scope("data/x"), declared) is None
    assert scopes.entangled(Scope("data/xx"), declared) is None
    assert scopes.entangled(Scope("data/y/zz"), declared) is None
    assert scopes.entangled(Scope("data/x"), []) is None


@given(st.sets(st.text("ab-/0", min_size=1, max_size=6).map(Scope), max_size=6))
def test_scopes_are_nested_when_any_two_are_entangled(declared: set[Scope]) -> None:
    inner = scopes.nested(declared)
    if inner is None:
        assert all(scopes.entangled(one, declared) is None for one in declared)
    else:
        assert any(scopes.contains(other, inner) for other in declared)


@given(PATH)
def test_a_scope_that_people_can_type_comes_back_from_its_key(raw: str) -> None:
    scope = parse_scope(raw)
    if not isinstance(scope, PathProblem):
        assert scopes.unescape(scopes.escape(scope)) == scope
