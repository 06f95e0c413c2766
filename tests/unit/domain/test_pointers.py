"""Pointers travel with the directory they name, and are placed after it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain.pointers import (
    Placing,
    held_back,
    is_pointer,
    kept_for,
    placing_key,
    pointer_target,
)
from swampd.domain.values import CachePath

LATEST = CachePath("m/latest")


def paths(*raw: str) -> list[CachePath]:
    return [CachePath(path) for path in raw]


def test_a_pointer_is_a_file_called_latest() -> None:
    assert is_pointer("latest")
    assert is_pointer("a/b/latest")
    assert not is_pointer("a/latest/b")
    assert not is_pointer("a/latest.json")


@pytest.mark.parametrize("content", [b"7", b"7\n", b" 7\r\n"])
def test_a_pointer_names_its_sibling(content: bytes) -> None:
    assert pointer_target(LATEST, content) == "m/7"
    assert pointer_target(CachePath("latest"), content) == "7"


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"a/b", b"/a", b"..", b".", b"a\0b", b"a\nb", b"\xff", b"a" * 256, b".lock"],
)
def test_content_that_names_no_sibling_is_no_pointer(content: bytes) -> None:
    assert pointer_target(LATEST, content) is None


def test_another_file_is_no_pointer_whatever_it_contains() -> None:
    assert pointer_target(CachePath("m/newest"), b"7") is None


def test_a_conflict_in_the_directory_holds_back_both() -> None:
    candidates = paths("m/7/a", "m/7/b/c", "m/70/a", "m/6/a", "m/latest", "n/7/a")
    held = held_back(candidates, paths("m/7/x"), {LATEST: CachePath("m/7")})
    assert held == {"m/7/a", "m/7/b/c", "m/latest"}


def test_a_conflict_on_the_pointer_holds_back_both() -> None:
    candidates = paths("m/7/a", "m/6/a")
    held = held_back(candidates, [LATEST], {LATEST: CachePath("m/7")})
    assert held == {"m/7/a"}


def test_a_conflict_elsewhere_holds_back_nothing() -> None:
    candidates = paths("m/7/a", "m/latest")
    assert held_back(candidates, paths("m/6/a", "m/7"), {LATEST: CachePath("m/7")}) == set()


def test_while_a_pointer_waits_the_directories_beside_it_stay() -> None:
    deletes = paths("m/6/a", "m/6/b/c", "m/x", "n/6/a", "7/a")
    assert kept_for(deletes, paths("m/latest", "n/6/b")) == {"m/6/a", "m/6/b/c"}
    assert kept_for(deletes, paths("latest")) == set(deletes)
    assert kept_for(deletes, ()) == set()


NAMES = st.lists(st.sampled_from(["1", "2", "latest"]), min_size=1, max_size=4).map("/".join)
PATHS = st.lists(NAMES.map(CachePath), max_size=8)


@given(PATHS, PATHS, st.lists(st.tuples(NAMES, st.sampled_from([b"1", b"2", b"latest"]))))
def test_waiting_does_not_spread(
    candidates: list[CachePath],
    unsafe: list[CachePath],
    contents: list[tuple[str, bytes]],
) -> None:
    found = {CachePath(path): pointer_target(CachePath(path), what) for path, what in contents}
    pointers = {path: target for path, target in found.items() if target is not None}
    held = held_back(candidates, unsafe, pointers)
    assert held <= set(candidates)
    assert held_back(candidates, [*unsafe, *held], pointers) == held
    for pointer, target in pointers.items():
        inside = {path for path in candidates if path.startswith(target + "/")}
        if pointer in held:
            assert inside <= held


def test_placements_go_from_new_files_to_pointers_to_deletes() -> None:
    work = [
        ("a", Placing.DELETED),
        ("m/5/latest", Placing.DELETED),
        ("m/latest", Placing.REPLACED),
        ("m/7/latest", Placing.NEW),
        ("n/latest", Placing.DELETED),
        ("b", Placing.REPLACED),
        ("c", Placing.NEW),
        ("m/7/x", Placing.NEW),
    ]
    ordered = sorted(work, key=lambda item: placing_key(CachePath(item[0]), item[1]))
    assert [path for path, _ in ordered] == [
        "c",
        "m/7/x",
        "b",
        "m/7/latest",
        "m/latest",
        "n/latest",
        "m/5/latest",
        "a",
    ]
