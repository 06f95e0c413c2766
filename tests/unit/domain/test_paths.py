"""Names from stores, trees and people: what is a cache path, what is not, what would collide."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain import scopes
from swampd.domain.paths import (
    KEY_LIMIT,
    ROOT_ONLY,
    PathProblem,
    collisions,
    fold,
    never_synced,
    parse_cache_path,
    parse_scope,
    prunes,
)
from swampd.domain.values import CachePath, Scope

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
HOSTILE = st.text(st.sampled_from("a.b/\\*~\0\n\x7fäß\ud800 "), max_size=12) | st.text(max_size=40)


def paths(*raw: str) -> list[CachePath]:
    return [CachePath(path) for path in raw]


# --- cache paths ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("", PathProblem.EMPTY),
        ("/", PathProblem.ABSOLUTE),
        ("/etc/passwd", PathProblem.ABSOLUTE),
        (".", PathProblem.DOT_SEGMENT),
        ("..", PathProblem.DOT_SEGMENT),
        ("./a", PathProblem.DOT_SEGMENT),
        ("../a", PathProblem.DOT_SEGMENT),
        ("a/./b", PathProblem.DOT_SEGMENT),
        ("a/../b", PathProblem.DOT_SEGMENT),
        ("a/..", PathProblem.DOT_SEGMENT),
        ("a//b", PathProblem.EMPTY_SEGMENT),
        ("a/", PathProblem.TRAILING_SLASH),
        ("a\0b", PathProblem.CONTROL_CHARACTER),
        ("a\n", PathProblem.CONTROL_CHARACTER),
        ("a\x1bb", PathProblem.CONTROL_CHARACTER),
        ("a\x7fb", PathProblem.CONTROL_CHARACTER),
        ("a\\b", PathProblem.BACKSLASH),
        ("..\\a", PathProblem.BACKSLASH),
        ("a" + chr(0xD800), PathProblem.NOT_UTF8),
        ("a\udcff", PathProblem.NOT_UTF8),
        ("d/" + "a" * 256, PathProblem.SEGMENT_TOO_LONG),
        ("d/" + "ä" * 128, PathProblem.SEGMENT_TOO_LONG),
        ("*", PathProblem.RESERVED_SCOPE),
        ("*/a", PathProblem.RESERVED_SCOPE),
        ("secrets/a", PathProblem.NEVER_SYNCED),
        ("d/.lock", PathProblem.NEVER_SYNCED),
        ("ä" * 34 + "/a", PathProblem.SCOPE_TOO_LONG),
        ("a" * 201 + "/a", PathProblem.SCOPE_TOO_LONG),
    ],
)
def test_a_hostile_name_is_refused_by_its_problem(raw: str, problem: PathProblem) -> None:
    assert parse_cache_path(raw) is problem


@pytest.mark.parametrize(
    "raw",
    [
        "a",
        "data/aws-ec2/x/state.json",
        "...",
        ".a/..b/c..",
        "d/*",
        "**",
        "~",
        "C:",
        "a b/ü/日本/🐊",
        "\u0085",  # of the control characters only C0 and DEL
        "d/" + "a" * 255,
        "a" * 255,
        "ä" * 33 + "/a",
        "a" * 200 + "/a",
    ],
)
def test_an_odd_name_that_every_store_can_have_is_a_cache_path(raw: str) -> None:
    assert parse_cache_path(raw) == raw


def test_the_whole_key_counts_with_its_prefix() -> None:
    path = "/".join(["d" * 200] * 6)[:KEY_LIMIT]
    assert parse_cache_path(path) == path
    assert parse_cache_path(path, prefix_bytes=1) is PathProblem.TOO_LONG
    assert parse_cache_path(path[:-1], prefix_bytes=1) == path[:-1]
    assert parse_cache_path(path + "x") is PathProblem.TOO_LONG


@given(HOSTILE)
def test_what_is_accepted_breaks_no_rule_of_section_8(raw: str) -> None:
    path = parse_cache_path(raw)
    if isinstance(path, PathProblem):
        return
    assert path == raw
    assert not any(ord(char) < 0x20 or char in "\x7f\\" for char in path)
    segments = path.split("/")
    assert not {"", ".", ".."} & set(segments)
    assert segments[0] != "*"
    assert all(len(segment.encode()) <= 255 for segment in segments)
    assert len(path.encode()) <= KEY_LIMIT
    assert not never_synced(path)


@given(HOSTILE)
def test_every_refusal_can_be_said_to_people(raw: str) -> None:
    path = parse_cache_path(raw)
    if isinstance(path, PathProblem):
        assert path.summary


def test_every_problem_has_a_summary() -> None:
    assert all(problem.summary for problem in PathProblem)


# --- scopes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "scope"),
    [
        (".", scopes.ROOT),
        ("./", scopes.ROOT),
        ("data", Scope("data")),
        ("data/", Scope("data")),
        ("./data", Scope("data")),
        ("./data/aws-ec2/", Scope("data/aws-ec2")),
        ("data/" + "ä" * 100, Scope("data/" + "ä" * 100)),
        ("*", PathProblem.RESERVED_SCOPE),
        ("*/", PathProblem.RESERVED_SCOPE),
        ("./*", PathProblem.RESERVED_SCOPE),
        ("", PathProblem.EMPTY),
        ("/", PathProblem.ABSOLUTE),
        ("/data", PathProblem.ABSOLUTE),
        ("data//", PathProblem.TRAILING_SLASH),
        ("..", PathProblem.DOT_SEGMENT),
        ("./../x", PathProblem.DOT_SEGMENT),
        ("secrets", PathProblem.NEVER_SYNCED),
        ("a" * 201, PathProblem.SCOPE_TOO_LONG),
    ],
)
def test_a_scope_is_taken_as_people_type_it(raw: str, scope: Scope | PathProblem) -> None:
    assert parse_scope(raw) == scope


def test_the_whole_datastore_is_a_scope_only_where_it_is_allowed() -> None:
    assert parse_scope("*", allow_all=True) == scopes.ALL
    assert parse_scope("*/", allow_all=True) is PathProblem.RESERVED_SCOPE


@given(HOSTILE)
def test_a_parsed_scope_parses_to_itself(raw: str) -> None:
    scope = parse_scope(raw, allow_all=True)
    if not isinstance(scope, PathProblem):
        assert parse_scope(scope, allow_all=True) == scope


# --- never synced -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ROOT_ONLY))
def test_a_root_only_name_is_pruned_at_the_root_and_nowhere_else(name: str) -> None:
    assert prunes(name)
    assert prunes(f"{name}/a/b")
    assert never_synced(name)
    assert never_synced(f"{name}/a/b")
    assert not prunes(f"data/{name}")
    assert not never_synced(f"data/{name}")
    assert not prunes(f"{name}x")


@pytest.mark.parametrize(
    "name",
    [
        ".lock",
        ".namespace.json",
        "_catalog.db",
        "_catalog.db-wal",
        "_catalog.db-",
        f".{UUID}.tmp",
        f".{UUID.upper()}.tmp",
    ],
)
def test_some_basenames_are_never_synced_at_any_depth(name: str) -> None:
    assert never_synced(name)
    assert never_synced(f"data/x/{name}")
    assert not never_synced(f"data/{name}/x")
    assert not prunes(name)
    assert not prunes(f"data/{name}")


@pytest.mark.parametrize(
    "path",
    [
        "data/x.lock",
        "catalog.db",
        "_catalog.dbx",
        f"{UUID}.tmp",
        f".{UUID}.tmp~",
        f".x{UUID}.tmp",
        ".abc.tmp",
        f".{UUID.replace('-', '')}.tmp",
        "Secrets/a",
        "swampd/a",
    ],
)
def test_a_name_that_only_looks_alike_is_synced(path: str) -> None:
    assert not never_synced(path)
    assert parse_cache_path(path) == path


@pytest.mark.parametrize(
    "first", [".SWAMPD", ".Swampd", ".\u017fwampd", ".swa\u200cmpd", "\ufeff.swampd", ".swampd. ."]
)
def test_no_spelling_of_the_daemons_own_directory_is_a_cache_path(first: str) -> None:
    assert prunes(f"{first}/cache-id")
    assert parse_cache_path(f"{first}/cache-id") is PathProblem.NEVER_SYNCED


# --- collisions -------------------------------------------------------------------------------


@given(st.text())
def test_the_form_of_a_letter_does_not_matter_to_its_fold(text: str) -> None:
    assert fold(unicodedata.normalize("NFC", text)) == fold(unicodedata.normalize("NFD", text))


@pytest.mark.parametrize(
    ("one", "other"),
    [("README", "readme"), ("Straße", "STRASSE"), ("é", "e\u0301"), ("É", "e\u0301"), ("Σ", "ς")],
)
def test_names_that_some_file_system_takes_for_one_have_one_fold(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_the_first_of_two_colliding_names_stays() -> None:
    assert collisions(paths("b", "a/x", "A/x", "B")) == {"a/x": "A", "b": "B"}


def test_what_is_there_already_stays_whatever_sorts_before_it() -> None:
    assert collisions(paths("A/x", "b"), there=paths("a/x", "c")) == {"A/x": "a"}
    assert collisions(paths("b"), there=paths("b", "c")) == {}
    assert collisions((), there=paths("a", "A")) == {}


def test_directories_collide_as_files_do() -> None:
    assert collisions(paths("data/x/1", "data/X/2", "data/X/3", "data/y")) == {"data/x/1": "data/X"}


def test_a_file_collides_with_a_directory_of_its_name() -> None:
    clash = paths("data/a", "data/a/b", "data/a/c/d", "data/ab")
    expected = {"data/a/b": "data/a", "data/a/c/d": "data/a"}
    assert collisions(clash) == expected
    assert collisions(clash, folding=False) == expected


def test_names_are_told_apart_where_the_file_system_does_so() -> None:
    assert collisions(paths("A", "a", "é", "e\u0301"), folding=False) == {}


def test_a_path_that_lost_takes_no_other_name() -> None:
    assert collisions(paths("A", "a/b", "a/B")) == {"a/B": "A", "a/b": "A"}
    assert collisions(paths("X/1", "d/Y", "x/2/q", "x/2/Q", "d/y")) == {
        "x/2/Q": "X",
        "x/2/q": "X",
        "d/y": "d/Y",
    }


def test_what_folds_like_a_name_that_is_never_synced_collides_with_it() -> None:
    assert collisions(paths("Secrets/a", "BUNDLES")) == {
        "Secrets/a": "secrets",
        "BUNDLES": "bundles",
    }
    assert collisions(paths("Secrets/a"), folding=False) == {}


NAMES = st.lists(st.sampled_from(["a", "A", "b", "é", "e\u0301"]), min_size=1, max_size=3)


@given(st.lists(NAMES.map("/".join)), st.booleans())
def test_what_stays_fits_on_one_file_system(raw: list[str], folding: bool) -> None:  # noqa: FBT001
    given_paths = paths(*raw)
    lost = collisions(given_paths, folding=folding)
    assert lost == collisions(reversed(given_paths), folding=folding)
    stay = sorted(set(given_paths) - lost.keys())
    assert collisions(stay, folding=folding) == {}
    folds = [fold(path) if folding else path for path in stay]
    assert len(set(folds)) == len(folds)
    assert not any(other.startswith(f"{one}/") for one in folds for other in folds)
