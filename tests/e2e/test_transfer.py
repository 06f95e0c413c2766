"""Files go from one machine to another and back, unchanged."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.machines import contents
from tests.places.choice import on_each

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair

FILES = 2000


def copy_packages(target: Path, count: int) -> None:
    """Real files: the installed packages of this environment."""
    source = Path(sysconfig.get_paths()["purelib"])
    copied = 0
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if not path.is_file() or path.is_symlink() or "__pycache__" in inside.parts:
            continue
        if path.stat().st_size > 200_000:
            continue
        (target / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target / inside)
        copied += 1
        if copied == count:
            return


@on_each
def test_a_pushed_tree_is_identical_on_the_other_machine(pair: Pair) -> None:
    a, b, place = pair
    a.write("data/aws/x/one.json", '{"n": 1}')
    a.write("data/aws/x/run.sh", "#!/bin/sh\n", executable=True)
    a.write("top.txt", "at the root")
    a.ok("push")
    b.ok("pull")
    assert b.files() == a.files()
    assert place.plain_files() == contents(a)


def test_pushing_and_pulling_nothing_says_so(pair: Pair) -> None:
    a, b, _ = pair
    a.write("data/f", "x")
    a.ok("push")
    assert a.ok("push").out == "nothing to push\n"
    b.ok("pull")
    assert b.ok("pull").out == "up to date\n"


def test_a_push_says_what_it_did_to_programs(pair: Pair) -> None:
    a, _, _ = pair
    a.write("data/f", "x")
    found = a.ok("push", "data", "--json").json
    assert found["schema_version"] == 1
    assert found["exit_code"] == 0
    assert found["failed"] == []
    (scope,) = found["done"]
    assert scope["scope"] == "data"
    assert scope["committed"] is True
    assert (scope["seq"], scope["sent"], scope["deleted"]) == (1, 1, 0)


def test_a_deeper_directory_becomes_a_scope_by_pushing_it(pair: Pair) -> None:
    a, b, _ = pair
    a.write("data/aws/x/f", "1")
    a.write("data/aws/y/f", "2")
    a.ok("push", "data/aws/x/")
    b.ok("pull")
    assert list(b.files()) == ["data/aws/x/f"]
    scopes = {
        row["scope"]: row["declared"] for row in b.ok("scope", "list", "--json").json["scopes"]
    }
    assert scopes["data/aws/x"] is True


def test_a_scope_may_be_an_absolute_path_in_the_cache(pair: Pair) -> None:
    a, b, _ = pair
    folder = a.write("data/aws/x/f", "1").parent
    a.ok("push", str(folder))
    b.ok("pull", "./data/aws/x")
    assert list(b.files()) == ["data/aws/x/f"]
    outside = a.run("push", "/etc")
    assert outside.code == 2
    assert "is not in the cache" in outside.err


@pytest.mark.timeout(300)
def test_two_thousand_real_files_and_back(pair: Pair) -> None:
    a, b, place = pair
    copy_packages(a.cache / "data" / "packages", FILES)
    assert a.run("push", limit_s=120).code == 0
    assert b.run("pull", limit_s=120).code == 0
    assert len(a.files()) == FILES
    assert b.files() == a.files()

    names = sorted(name for name, row in b.files().items() if row[0])
    edited, same_size, renamed, deleted = names[0], names[500], names[1000], names[1500]
    (b.cache / edited).write_bytes(b"edited on b")
    content = (b.cache / same_size).read_bytes()
    (b.cache / same_size).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    (b.cache / renamed).rename(b.cache / f"{renamed}.moved")
    (b.cache / deleted).unlink()
    b.write("fresh/deep/er/file", "new directory")
    assert b.run("push", limit_s=120).code == 0
    assert a.run("pull", limit_s=120).code == 0
    assert a.files() == b.files()
    assert deleted not in a.files()
    assert place.plain_files() == contents(a)


def test_many_deletes_stop_until_they_are_allowed(pair: Pair) -> None:
    a, b, _ = pair
    for number in range(30):
        a.write(f"data/f{number}", str(number))
    a.ok("push")
    b.ok("pull")
    for number in range(30):
        (a.cache / f"data/f{number}").unlink()
    refused = a.run("push", "data")
    assert refused.code == 6
    assert "too_many_deletes" in refused.err
    a.ok("push", "data", "--allow-deletes")
    assert b.run("pull", "data").code == 6
    b.ok("pull", "data", "--allow-deletes")
    assert b.files() == {}


def test_status_shows_scopes_and_the_cache(pair: Pair) -> None:
    a, _, _ = pair
    a.write("data/f", "x")
    a.ok("push")
    found = a.ok("status", "--json").json
    (workspace,) = found["workspaces"]
    assert workspace["cache"] == str(a.cache)
    assert [row["scope"] for row in workspace["scopes"]] == ["data"]
    assert str(a.cache) in a.ok("status").out


def test_status_outside_a_repo_shows_all_workspaces(pair: Pair) -> None:
    a, _, _ = pair
    a.ok("status")
    found = a.ok("status", "--json", cwd=a.root).json
    assert [row["cache"] for row in found["workspaces"]] == [str(a.cache)]
