"""Both sides changed: nothing is overwritten, a person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.places.choice import on_each

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair


def disagree(pair: Pair) -> None:
    a, b, _ = pair
    a.write("data/f", "first")
    a.ok("push")
    b.ok("pull")
    a.write("data/f", "from a")
    a.ok("push")
    b.write("data/f", "from b")
    assert b.run("push").code == 3
    b.run("pull")


@on_each
def test_a_conflict_keeps_both_and_names_the_way_out(pair: Pair) -> None:
    disagree(pair)
    a, b, _ = pair
    (found,) = b.ok("conflicts", "list", "--json").json["conflicts"]
    assert (found["path"], found["kind"]) == ("data/f", "both_changed")
    assert (b.cache / "data/f").read_text() == "from b"
    assert (b.cache / found["copy"]).read_text() == "from a"
    assert (a.cache / "data/f").read_text() == "from a"
    assert "data/f" in b.ok("status").out


def test_the_rest_of_the_scope_syncs_on(pair: Pair) -> None:
    disagree(pair)
    a, b, _ = pair
    b.write("data/other", "o")
    assert b.run("push").code == 3
    a.ok("pull")
    assert (a.cache / "data/other").read_text() == "o"


@pytest.mark.parametrize(("side", "expected"), [("--ours", "from b"), ("--theirs", "from a")])
def test_resolving_takes_a_side(pair: Pair, side: str, expected: str) -> None:
    disagree(pair)
    a, b, _ = pair
    b.ok("conflicts", "resolve", "data/f", side)
    b.ok("pull")
    b.ok("push")
    a.ok("pull")
    assert (a.cache / "data/f").read_text() == expected
    assert (b.cache / "data/f").read_text() == expected
    assert b.ok("conflicts", "list", "--json").json["conflicts"] == []


def test_resolving_with_both_keeps_two_files(pair: Pair) -> None:
    disagree(pair)
    a, b, _ = pair
    b.ok("conflicts", "resolve", "--all", "--both")
    b.ok("push")
    b.ok("pull")
    a.ok("pull")
    contents = sorted(row[0] for row in a.files().values())
    assert contents == [b"from a", b"from b"]
    assert {n: r[0] for n, r in b.files().items()} == {n: r[0] for n, r in a.files().items()}


def test_resolving_what_is_no_conflict_is_an_error(pair: Pair) -> None:
    a, _, _ = pair
    refused = a.run("conflicts", "resolve", "data/f", "--ours")
    assert refused.code == 2
    assert "data/f is not in conflict" in refused.err
    assert a.run("conflicts", "resolve", "data/f").code == 2
