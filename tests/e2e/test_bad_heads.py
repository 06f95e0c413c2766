"""Heads that are not what they should be: nothing is deleted, and the way out works."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from tests.places.choice import on_each
from tests.places.place import HEADS, LOCKS, MANIFESTS, head_key

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine, Result

LONG: Final = "x" * 300
HOSTILE: Final = {
    "data/../../escaped": "dot_segment",
    "/etc/escaped": "absolute",
    "data/nul\0byte": "control_character",
    "data/\x1b[2Jclear": "control_character",
    f"data/{LONG}": "segment_too_long",
    "data/back\\slash": "backslash",
    "other/scope": "outside the scope data",
}
HEAD: Final = head_key("data")


def two_states(pair: Pair) -> bytes:
    """Two pushes, both pulled; the head of the first."""
    a, b, place = pair
    a.write("data/f", "first")
    a.write("data/gone", "deleted in the second")
    a.ok("push")
    older = place.read(HEAD)
    a.write("data/f", "second")
    a.write("data/new", "new in the second")
    (a.cache / "data/gone").unlink()
    a.ok("push")
    b.ok("pull")
    return older


def assert_halted(result: Result, halt: str) -> None:
    assert result.code == 6, result
    error = result.json["error"]
    assert error["code"] == "halted"
    assert (error["fields"]["halt"], error["fields"]["scope"]) == (halt, "data")
    assert error["hint"]


def assert_all_halt(machines: tuple[Machine, ...], halt: str) -> None:
    """Neither pull nor push goes on, named or not, and status says why."""
    for machine in machines:
        for words in (("pull",), ("pull", "data"), ("push", "data")):
            assert_halted(machine.run(*words, "--json"), halt)
        (workspace,) = machine.ok("status", "--json").json["workspaces"]
        assert [(row["scope"], row["halt"]) for row in workspace["halts"]] == [("data", halt)]


@on_each
def test_a_head_that_went_back_halts_until_it_is_back(pair: Pair) -> None:
    older = two_states(pair)
    a, b, place = pair
    newest = place.read(HEAD)
    before, plain = b.files(), place.plain_files()
    place.write_foreign(HEAD, older)
    b.write("data/mine", "an edit")
    assert_all_halt((b, a), "head_went_back")
    assert place.read(HEAD) == older
    assert place.plain_files() == plain
    assert {**before, "data/mine": b.files()["data/mine"]} == b.files()
    # The way out that is told: the newest state comes back.
    place.write_foreign(HEAD, newest)
    b.ok("push")
    a.ok("pull")
    assert a.files() == b.files()
    assert sorted(a.files()) == ["data/f", "data/mine", "data/new"]


def test_a_head_that_is_gone_is_no_delete(pair: Pair) -> None:
    two_states(pair)
    a, b, place = pair
    before = b.files()
    newest = place.read(HEAD)
    place.delete(HEAD)
    assert_all_halt((b, a), "head_went_back")
    assert b.files() == before
    place.write_foreign(HEAD, newest)
    assert b.ok("pull").out == "up to date\n"
    assert a.ok("push").out == "nothing to push\n"


def test_a_fork_that_overtakes_a_head_that_went_back_stays_halted(pair: Pair) -> None:
    older = two_states(pair)
    _, b, place = pair
    before = b.files()
    place.write_foreign(HEAD, older)
    assert_halted(b.run("pull", "--json"), "head_went_back")

    def overtake(head: dict[str, Any]) -> None:
        head["seq"] += 100
        head["epoch"] += 100
        head["wid"] = "f" * 32
        head["recent"] = [head["wid"], *head["recent"]]

    place.edit_head(overtake)
    assert_all_halt((b,), "head_went_back")
    assert b.files() == before


def test_a_damaged_head_halts_its_scope_only(pair: Pair) -> None:
    two_states(pair)
    a, b, place = pair
    newest = place.read(HEAD)
    for number, garbage in enumerate((b"", b"\0" * 500, b'{"schema": 1}', b"[" * 100_000)):
        before = b.files()
        place.write_foreign(HEAD, garbage)
        name = f"other/f{number}"
        a.write(name, "goes on")
        a.ok("push", "other")
        pulled = b.run("pull", "--json")
        assert pulled.code == 3, pulled
        (failed,) = pulled.json["failed"]
        said = (failed["scope"], failed["code"], failed["fields"]["halt"])
        assert said == ("data", "halted", "head_damaged")
        assert place.read(HEAD) == garbage
        assert {**before, name: b.files()[name]} == b.files()
        place.write_foreign(HEAD, newest)
        b.ok("pull")
    b.write("data/f", "third")
    b.ok("push")
    a.ok("pull")
    assert a.files() == b.files()


def test_a_head_of_another_datastore_halts(pair: Pair) -> None:
    two_states(pair)
    _, b, place = pair
    before = b.files()
    newest = place.read(HEAD)
    place.edit_head(lambda head: head.update(datastore_id="0" * 32))
    assert_all_halt((b,), "datastore_changed")
    assert b.files() == before
    place.write_foreign(HEAD, newest)
    b.ok("pull")


def test_a_head_of_a_newer_schema_is_refused_by_its_number(pair: Pair) -> None:
    two_states(pair)
    a, b, place = pair
    before = b.files()
    place.edit_head(lambda head: head.update(schema=7))
    for words in (("pull",), ("pull", "data")):
        refused = b.run(*words, "--json")
        assert (refused.code, refused.json["error"]["code"]) == (10, "schema_too_new"), words
        assert "schema 7" in refused.err
    assert b.files() == before
    assert a.run("push", "data").out == "nothing to push\n"


def refused_keys(machine: Machine) -> dict[str, str]:
    """The keys that status names, each with the reason."""
    (workspace,) = machine.ok("status", "--json").json["workspaces"]
    rows = [row for row in workspace["problems"] if row["state"] == "refused_name"]
    assert workspace["refused_keys"] == len(rows)
    return {row["path"]: row["detail"].partition(", in manifest ")[0] for row in rows}


def outside(pair: Pair) -> list[str]:
    """Every file and object that a hostile key names."""
    names = {key.rpartition("/")[2].rpartition("\\")[2] for key in HOSTILE}
    files = (str(path) for path in pair.a.root.parent.rglob("*") if path.name in names)
    objects = pair.place.keys()
    return [*files, *(key for key in objects if key.rpartition("/")[2] in names)]


def test_hostile_keys_in_a_head_are_named_and_the_rest_goes_on(pair: Pair) -> None:
    a, b, place = pair
    a.write("data/f", "good")
    a.ok("push")

    def poison(head: dict[str, Any]) -> None:
        row = head["delta"]["data/f"]
        head["delta"].update(dict.fromkeys(HOSTILE, row))

    place.edit_head(poison)
    b.ok("pull")
    assert list(b.files()) == ["data/f"]
    assert refused_keys(b) == HOSTILE
    assert outside(pair) == []
    shown = b.ok("status").out
    assert all(name in shown for name in ("data/../../escaped", "other/scope", LONG))
    assert not set(shown) & {"\0", "\x1b"}
    b.write("data/f", "and on")
    b.ok("push")
    a.ok("pull")
    assert a.files() == b.files()
    assert refused_keys(b) == {}


def test_hostile_keys_in_a_manifest_are_named_and_the_rest_goes_on(pair: Pair) -> None:
    a, b, place = pair
    for number in range(150):
        a.write(f"data/f{number:03}", str(number))
    a.ok("push")
    (manifest,) = place.keys(MANIFESTS)

    def poison(head: dict[str, Any]) -> None:
        document = json.loads(gzip.decompress(place.read(manifest)))
        row = document["entries"]["data/f000"]
        document["entries"].update(dict.fromkeys(HOSTILE, row))
        body = gzip.compress(json.dumps(document).encode())
        place.write_foreign(manifest, body)
        head["manifests"][0]["bytes"] = len(body)
        head["manifests"][0]["sha256"] = hashlib.sha256(body).hexdigest()

    place.edit_head(poison)
    b.ok("pull")
    assert b.files() == a.files()
    assert refused_keys(b) == HOSTILE
    assert outside(pair) == []
    # A commit that leaves the manifest where it is leaves its keys named.
    a.ok("pull")
    a.write("data/f000", "changed")
    a.ok("push")
    b.ok("pull")
    assert b.files() == a.files()
    assert refused_keys(b) == HOSTILE


def test_a_damaged_manifest_is_told_and_nothing_goes(pair: Pair) -> None:
    a, b, place = pair
    for number in range(150):
        a.write(f"data/f{number:03}", str(number))
    a.ok("push")
    (manifest,) = place.keys(MANIFESTS)
    good = place.read(manifest)
    b.write("data/mine", "local")
    place.write_foreign(manifest, b"\x1f\x8b damaged")
    for words in (("pull",), ("pull", "data"), ("push", "data")):
        refused = b.run(*words, "--json")
        assert (refused.code, refused.json["error"]["code"]) == (1, "damaged_object"), words
    assert list(b.files()) == ["data/mine"]
    place.write_foreign(manifest, good)
    b.ok("push")
    b.ok("pull")
    a.ok("pull")
    assert len(a.files()) == 151
    assert a.files() == b.files()


def test_names_in_the_control_area_that_are_no_scopes_are_passed_over(pair: Pair) -> None:
    two_states(pair)
    a, b, place = pair
    for name in ("%2E%2E", "a%2F..%2Fb", "%00", "data%2F", "%zz", "."):
        place.write_foreign(f"{HEADS}{name}.json", b"garbage")
        place.write_foreign(f"{LOCKS}{name}.json", b"garbage")
    a.write("data/f", "third")
    a.ok("push")
    b.ok("pull")
    assert a.files() == b.files()
    assert {row["scope"] for row in b.ok("scope", "list", "--json").json["scopes"]} >= {"data"}
    b.ok("lock", "list")
