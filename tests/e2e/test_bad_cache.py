"""A cache that is not what the daemon left: emptied, removed, restored, written to meanwhile.

Whatever happens to it, nothing that is in the store is lost, and nothing that is only here.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.machines import BIN, contents, finished, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine

MANY: Final = 30
"""Files enough for the limit on deletes."""


def problems(machine: Machine) -> dict[str, str]:
    """The paths that status lists, each with its state."""
    (workspace,) = machine.ok("status", "--json").json["workspaces"]
    return {row["path"]: row["state"] for row in workspace["problems"]}


def filled(pair: Pair) -> dict[str, bytes]:
    """Many files on both machines."""
    a, b, _ = pair
    for number in range(MANY):
        a.write(f"data/f{number:02}", f"content {number}")
    a.ok("push")
    b.ok("pull")
    return contents(b)


# --- emptied, removed, restored -----------------------------------------------------------------


def test_a_cache_that_is_emptied_under_the_daemon_comes_back(pair: Pair) -> None:
    a, b, place = pair
    before = filled(pair)
    for path in b.cache.iterdir():
        shutil.rmtree(path)
    b.ok("push")
    assert place.plain_files() == before
    b.ok("pull")
    assert contents(b) == before
    assert a.ok("pull").out == "up to date\n"


def test_files_that_were_all_removed_are_not_deleted_unasked(pair: Pair) -> None:
    a, b, place = pair
    before = filled(pair)
    shutil.rmtree(b.cache / "data")
    refused = b.run("push", "--json")
    assert refused.code == 6
    assert refused.json["error"]["fields"]["halt"] == "too_many_deletes"
    assert place.plain_files() == before
    a.ok("pull")
    assert contents(a) == before


def test_a_cache_that_is_removed_with_the_daemon_running_halts(pair: Pair) -> None:
    _, b, place = pair
    before = filled(pair)
    shutil.rmtree(b.cache)
    for words in (("push",), ("pull",), ("push", "data"), ("pull", "data")):
        refused = b.run(*words, "--json")
        assert refused.code == 6, (words, refused)
        assert refused.json["error"]["fields"]["halt"] == "cache_missing", words
    assert place.plain_files() == before
    # The way out that is told.
    b.ok("daemon", "stop")
    b.ok("pull")
    assert contents(b) == before
    assert b.ok("push").out == "nothing to push\n"


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_a_cache_restored_from_a_backup_takes_nothing_back(pair: Pair, *, running: bool) -> None:
    a, b, place = pair
    for name in ("kept", "edited", "deleted"):
        b.write(f"data/{name}", "as in the backup")
    b.ok("push")
    b.ok("daemon", "stop")
    backup = b.cache.with_name("backup")
    subprocess.run(["cp", "-a", b.cache, backup], check=True)
    b.write("data/edited", "newer")
    b.write("data/new", "newer")
    (b.cache / "data/deleted").unlink()
    b.ok("push")
    if not running:
        b.ok("daemon", "stop")
    shutil.rmtree(b.cache)
    backup.rename(b.cache)
    if running:
        assert b.run("push").code == 6
        b.ok("daemon", "stop")
    (b.cache / "data/mine").write_text("after the restore")
    assert b.run("push").code == 3
    assert b.run("pull").code == 3
    (conflict,) = b.ok("conflicts", "list", "--json").json["conflicts"]
    assert conflict["path"] == "data/edited"
    assert (b.cache / "data/edited").read_text() == "as in the backup"
    assert (b.cache / conflict["copy"]).read_text() == "newer"
    expected = {
        "data/kept": b"as in the backup",
        "data/edited": b"newer",
        "data/new": b"newer",
        "data/mine": b"after the restore",
    }
    a.ok("pull")
    assert contents(a) == expected
    assert place.plain_files() == expected
    b.ok("conflicts", "resolve", "data/edited", "--theirs")
    b.ok("pull")
    assert contents(b) == expected


@pytest.mark.parametrize("damage", ["all", "middle"])
def test_a_damaged_journal_loses_neither_edits_nor_what_was_pushed(pair: Pair, damage: str) -> None:
    a, b, _ = pair
    before = filled(pair)
    b.write("data/f00", "edited here")
    b.write("data/only-here", "not pushed yet")
    a.write("data/f01", "edited there")
    a.ok("push")
    b.ok("daemon", "stop")
    (journal,) = (b.state / "journals").glob("*.db")
    raw = journal.read_bytes()
    journal.write_bytes(
        {
            "all": b"\xde\xad" * (len(raw) // 2),
            "middle": raw[:4096] + b"\xff" * 40_000 + raw[44_096:],
        }[damage]
    )
    damaged = journal.read_bytes()
    (workspace,) = b.ok("status", "--json").json["workspaces"]
    put_aside = workspace["quarantined_journal"]
    assert "damaged" in put_aside
    with open(put_aside, "rb") as kept:  # noqa: PTH123 - a path from a program
        assert kept.read() == damaged
    # Without the journal nobody can tell which of two contents is newer: both are kept.
    assert b.run("push").code == 3
    assert b.run("pull").code == 3
    found = {row["path"]: row for row in b.ok("conflicts", "list", "--json").json["conflicts"]}
    assert set(found) == {"data/f00", "data/f01"}
    assert (b.cache / "data/f00").read_text() == "edited here"
    assert (b.cache / found["data/f00"]["copy"]).read_bytes() == before["data/f00"]
    assert (b.cache / "data/f01").read_bytes() == before["data/f01"]
    assert (b.cache / found["data/f01"]["copy"]).read_text() == "edited there"
    b.ok("conflicts", "resolve", "data/f00", "--ours")
    b.ok("conflicts", "resolve", "data/f01", "--theirs")
    b.ok("pull")
    b.ok("push")
    a.ok("pull")
    expected = {
        **before,
        "data/f00": b"edited here",
        "data/f01": b"edited there",
        "data/only-here": b"not pushed yet",
    }
    assert contents(a) == expected
    assert contents(b) == expected


# --- what is no file to be synced ---------------------------------------------------------------


def test_links_sockets_and_pipes_are_listed_and_the_rest_goes_on(
    pair: Pair, tmp_path: Path
) -> None:
    a, b, place = pair
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("not to be synced")
    a.write("data/f", "1")
    (a.cache / "data/link").symlink_to(secret / "key")
    (a.cache / "data/folder").symlink_to(secret)
    os.mkfifo(a.cache / "data/pipe")
    os.mknod(a.cache / "data/socket", 0o600 | stat.S_IFSOCK)
    a.ok("push")
    assert problems(a) == {
        "data/folder": "symlink",
        "data/link": "symlink",
        "data/pipe": "not_a_file",
        "data/socket": "not_a_file",
    }
    b.ok("pull")
    assert contents(b) == {"data/f": b"1"}
    assert place.plain_keys() == ["data/f"]
    assert (secret / "key").read_text() == "not to be synced"


def test_nothing_is_placed_through_a_link(pair: Pair, tmp_path: Path) -> None:
    a, b, _ = pair
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "f").write_text("theirs")
    a.write("data/folder/f", "from a")
    a.write("data/g", "goes on")
    a.ok("push")
    (b.cache / "data").mkdir(parents=True)
    (b.cache / "data/folder").symlink_to(secret)
    assert b.run("pull").code == 3
    assert (secret / "f").read_text() == "theirs"
    assert sorted(path.name for path in secret.iterdir()) == ["f"]
    assert (b.cache / "data/g").read_text() == "goes on"
    (b.cache / "data/folder").unlink()
    b.ok("pull")
    assert contents(b) == contents(a)


def start_without_privileges(machine: Machine) -> None:
    """Start its daemon so that file modes count for it, as they do for everybody but root."""
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    prefix = without if os.geteuid() == 0 else []
    started = finished(machine.spawn([*prefix, str(BIN / "swampctl"), "daemon", "start"]))
    assert started.code == 0, started


def test_an_unreadable_file_is_listed_and_the_rest_goes_on(pair: Pair) -> None:
    a, b, place = pair
    a.write("data/readable", "1")
    before = a.write("data/known", "pushed before")
    a.ok("push")
    a.ok("daemon", "stop")
    start_without_privileges(a)
    before.chmod(0)
    a.write("data/fresh", "never pushed").chmod(0)
    a.write("data/readable", "2")
    hidden = a.write("data/folder/f", "in a closed directory").parent
    hidden.chmod(0)
    pushed = a.run("push")
    assert pushed.code in {0, 3}, pushed
    # A change of mode alone is no change of content: the known file may count as it was.
    assert {name: state for name, state in problems(a).items() if name != "data/known"} == {
        "data/folder": "unreadable",
        "data/fresh": "unreadable",
    }
    b.ok("pull")
    assert contents(b) == {"data/known": b"pushed before", "data/readable": b"2"}
    for path in (before, a.cache / "data/fresh"):
        path.chmod(0o600)
    hidden.chmod(0o700)
    a.ok("push")
    b.ok("pull")
    assert contents(b) == contents(a)
    assert len(place.plain_keys()) == 4


def test_names_that_collide_keep_both(pair: Pair) -> None:
    a, b, place = pair
    a.write("data/name", "a file there")
    a.write("data/dir/f", "in a directory there")
    a.ok("push")
    b.write("data/name/f", "in a directory here")
    b.write("data/dir", "a file here")
    b.write("data/other", "goes on")
    pushed = b.run("push", "--json")  # without a pull: the head is read before it is written
    assert pushed.code == 3, pushed
    told = {row["path"]: row["way_out"] for one in pushed.json["done"] for row in one["problems"]}
    assert set(told) == {"data/name/f", "data/dir"}
    assert all("rename" in way_out for way_out in told.values())
    pulled = b.run("pull", "--json")
    assert pulled.code == 3, pulled
    named = {row["path"]: row["way_out"] for one in pulled.json["done"] for row in one["problems"]}
    assert set(named) == {"data/name", "data/dir/f"}
    assert all(named.values())
    assert (b.cache / "data/name/f").read_text() == "in a directory here"
    assert (b.cache / "data/dir").read_text() == "a file here"
    assert place.read("data/name") == b"a file there"
    assert place.read("data/dir/f") == b"in a directory there"
    assert place.read("data/other") == b"goes on"
    # The way out that is told: one of the two gets another name.
    (b.cache / "data/name").rename(b.cache / "data/name-b")
    (b.cache / "data/dir").rename(b.cache / "data/dir-b")
    b.ok("push")
    b.ok("pull")
    assert b.run("conflicts", "list", "--json").json["conflicts"] == []
    a.ok("pull")
    assert contents(a) == contents(b)
    assert set(contents(a)) == {
        "data/name",
        "data/dir/f",
        "data/name-b/f",
        "data/dir-b",
        "data/other",
    }


# --- written to meanwhile -----------------------------------------------------------------------

APPEND: Final = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
number = 0
while True:
    number += 1
    os.write(file, b"%09d\\n" % number)
"""
REPLACE: Final = """
import os, sys
number = 0
while True:
    number += 1
    with open(sys.argv[1] + ".part", "wb") as file:
        file.write(b"%09d\\n" % number * 100_000)
    os.rename(sys.argv[1] + ".part", sys.argv[1])
"""


@contextmanager
def writing(machine: Machine, script: str, path: str) -> Iterator[None]:
    """A process that writes to a file of the cache again and again."""
    target = machine.write(path, b"".join(b"%09d\n" % number for number in range(1_000_000)))
    begun = target.stat()
    writer = machine.spawn([sys.executable, "-c", script, str(target)])
    try:
        until(lambda: target.stat().st_mtime_ns != begun.st_mtime_ns, "it is written to")
        yield
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()


def pushed_meanwhile(machine: Machine, path: str) -> int:
    result = machine.run("push", "data", "--json")
    assert result.code in {0, 3}, result
    states = {row["path"]: row["state"] for one in result.json["done"] for row in one["problems"]}
    if result.code == 3:  # the file, or the one that is about to be renamed over it
        assert set(states.values()) == {"busy"}, result
        assert all(name.startswith(path) for name in states), result
    return result.code


def test_a_file_that_grows_while_it_is_pushed_is_busy_or_whole(pair: Pair) -> None:
    a, b, _ = pair
    a.write("data/still", "goes on")
    with writing(a, APPEND, "data/grows"):
        codes = [pushed_meanwhile(a, "data/grows") for _ in range(3)]
        b.ok("pull")
        seen = contents(b)
    a.ok("push")
    b.ok("pull")
    final = contents(a)
    assert contents(b) == final
    assert seen["data/still"] == b"goes on"
    assert 3 in codes or "data/grows" in seen
    assert final["data/grows"].startswith(seen.get("data/grows", b""))


def test_a_file_that_is_replaced_while_it_is_pushed_is_never_mixed(pair: Pair) -> None:
    a, b, _ = pair
    with writing(a, REPLACE, "data/replaced"):
        until(lambda: (a.cache / "data/replaced").stat().st_size == 1_000_000, "it is replaced")
        for _ in range(3):
            pushed_meanwhile(a, "data/replaced")
            b.ok("pull")
            seen = contents(b).get("data/replaced", b"")
            assert seen == seen[:10] * 100_000 or not seen
    (a.cache / "data/replaced.part").unlink(missing_ok=True)
    a.ok("push")
    b.ok("pull")
    assert contents(b) == contents(a)
    assert list(contents(b)) == ["data/replaced"]
