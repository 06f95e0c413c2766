"""Bad input gets a clear error and an exit code, and loses nothing."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.places.choice import folder_only

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine
    from tests.places.place import Place

GOOD = "repoId: r1\ndatastore:\n  type: directory\n  path: {store}\n"


def configure(machine: Machine, text: str) -> None:
    (machine.repo / ".swamp.yaml").write_text(text)


def naming(place: Place) -> str:
    """A `.swamp.yaml` that names this place (every JSON text is YAML)."""
    return json.dumps({"repoId": "r1", "datastore": dict(place.settings)})


def test_no_swamp_yaml(alone: Machine) -> None:
    refused = alone.run("push", "--json")
    assert refused.code == 10
    assert refused.json["error"]["code"] == "no_repo"
    assert "no .swamp.yaml in" in refused.err


def test_malformed_yaml_is_told_with_its_place(alone: Machine) -> None:
    configure(alone, "repoId: r1\ndatastore: [unclosed\n")
    refused = alone.run("status")
    assert refused.code == 10
    assert ".swamp.yaml, line 3" in refused.err


def test_an_unknown_key_names_the_nearest(alone: Machine, tmp_path: Path) -> None:
    configure(alone, GOOD.format(store=tmp_path) + "  pth: /x\n")
    refused = alone.run("status")
    assert refused.code == 10
    assert "unknown key 'pth'" in refused.err
    assert "did you mean 'path'?" in refused.err


def test_a_key_that_is_not_built_is_refused(alone: Machine, tmp_path: Path) -> None:
    for key in ("exclude", "directories", "namespace"):
        configure(alone, GOOD.format(store=tmp_path) + f"  {key}: x\n")
        refused = alone.run("push", "--json")
        assert refused.code == 10
        assert refused.json["error"]["code"] == "not_built"
        assert key in refused.err


def test_a_type_that_is_not_built_is_refused(alone: Machine) -> None:
    for kind in ("gcs", "filesystem"):
        configure(alone, f"repoId: r1\ndatastore:\n  type: {kind}\n  bucket: b\n")
        refused = alone.run("push", "--json")
        assert (refused.code, refused.json["error"]["code"]) == (10, "not_built"), kind
        set_up = alone.run("datastore", "setup", kind, "--bucket", "b", "--json")
        assert (set_up.code, set_up.json["error"]["code"]) == (10, "not_built"), kind


def test_a_bucket_that_cannot_be_is_refused_by_the_name_of_the_rule(alone: Machine) -> None:
    for options, rule in (
        (("--bucket", "Team_Store"), "characters"),
        (("--bucket", "team--x-s3"), "directory_bucket"),
        (("--bucket", "team", "--prefix", "../p"), "dot_segment"),
        (("--bucket", "team", "--endpoint", "https://u:p@h"), "endpoint"),
    ):
        refused = alone.run("datastore", "setup", "s3", *options, "--json")
        error = refused.json["error"]
        assert (refused.code, error["code"], error["fields"]["rule"]) == (10, "bad_config", rule)
    assert not (alone.repo / ".swamp.yaml").exists()


def test_a_store_without_layout_asks_for_setup(alone: Machine, place: Place) -> None:
    alone.equip(place)
    configure(alone, naming(place))
    refused = alone.run("push", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (10, "no_layout")
    assert "run `swampctl datastore setup`" in refused.err
    alone.ok("datastore", "setup")
    alone.ok("push")


def test_a_populated_store_is_not_written_to(alone: Machine, place: Place) -> None:
    place.write_foreign("letter.txt", b"dear")
    alone.equip(place)
    configure(alone, naming(place))
    refused = alone.run("push", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (10, "not_a_swampd_datastore")
    set_up = alone.run("datastore", "setup", *place.setup, "--json")
    assert (set_up.code, set_up.json["error"]["code"]) == (10, "not_a_swampd_datastore")
    assert place.keys() == ["letter.txt"]


def test_set_up_makes_the_folder(alone: Machine, tmp_path: Path) -> None:
    alone.ok("datastore", "setup", "directory", "--path", str(tmp_path / "new"))
    alone.write("data/f", "1")
    alone.ok("push")
    assert (tmp_path / "new/data/f").read_text() == "1"


def test_a_store_that_is_away_is_no_loss(pair: Pair) -> None:
    a, _, place = pair
    a.write("data/f", "1")
    a.ok("push")
    a.ok("daemon", "stop")
    with place.away():
        away = a.run("push", "--no-wait", "--json")
        assert (away.code, away.json["error"]["code"]) == (1, "store_unavailable")
    a.write("data/f", "2")
    a.ok("push")
    assert place.read("data/f") == b"2"


def test_another_datastore_halts(pair: Pair) -> None:
    a, _, place = pair
    a.write("data/f", "1")
    a.ok("push")
    a.ok("daemon", "stop")
    other = place.another("other")
    yaml = a.repo / ".swamp.yaml"
    before = yaml.read_text()
    a.ok("datastore", "setup", *other.setup)
    refused = a.run("push", "--json")
    assert refused.code == 6
    assert refused.json["error"]["fields"]["halt"] == "datastore_changed"
    assert other.plain_keys() == []
    yaml.write_text(before)
    a.write("data/f", "2")
    a.ok("push")
    assert place.read("data/f") == b"2"


def test_another_store_for_an_open_cache_is_refused_naming_both(pair: Pair) -> None:
    a, _, place = pair
    a.ok("status")
    other = place.another("other")
    refused = a.run("status", SWAMP_DATASTORE=other.variable)
    assert refused.code == 10
    assert place.shown in refused.err
    assert other.shown in refused.err


def test_the_variable_replaces_the_store(alone: Machine, place: Place, tmp_path: Path) -> None:
    alone.set_up(place)
    alone.ok("daemon", "stop")
    configure(alone, GOOD.format(store=tmp_path / "elsewhere"))
    found = alone.ok("datastore", "status", "--json", SWAMP_DATASTORE=place.variable).json
    assert found["named_by"] == "SWAMP_DATASTORE"
    assert {row["verdict"] for row in found["verdicts"]} <= {"kept", "not supported"}


@folder_only
def test_usage_errors_are_exit_2(alone: Machine, place: Place) -> None:
    alone.set_up(place)
    assert "usage: swampctl" in alone.ok().out
    for words in (
        ("push", "../x"),
        ("push", "a//b"),
        ("lock", "acquire", "secrets/x"),
        ("lock", "acquire", ""),
        ("lock", "acquire"),
        ("lock", "acquire", "x", "--ttl", "1h"),
        ("lock", "acquire", "x", "--wait", "soon"),
        ("lock", "frobnicate"),
        ("psuh",),
        ("push", "--nonsense"),
    ):
        refused = alone.run(*words)
        assert refused.code == 2, refused
        assert refused.err.startswith("error: "), words


def test_a_cache_that_was_emptied_comes_back(pair: Pair) -> None:
    a, b, _ = pair
    for number in range(5):
        a.write(f"data/f{number}", str(number))
    a.ok("push")
    a.ok("daemon", "stop")
    cache = a.cache
    a.ok("daemon", "stop")
    shutil.rmtree(cache)
    a.ok("push")
    a.ok("pull")
    b.ok("pull")
    assert len(b.files()) == 5
    assert {n: r[0] for n, r in a.files().items()} == {n: r[0] for n, r in b.files().items()}


def test_a_cache_that_vanishes_under_the_daemon_halts(pair: Pair) -> None:
    a, _, place = pair
    a.write("data/f", "1")
    a.ok("push")
    cache = a.cache
    cache.rename(cache.with_name("gone"))
    refused = a.run("push", "--json")
    assert refused.code == 6, refused
    cache.with_name("gone").rename(cache)
    a.ok("push")
    assert place.read("data/f") == b"1"
