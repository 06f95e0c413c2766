"""The facts by which one session or script is told from another."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from swampctl.owner import Facts, caller, collect, session, start_ticks

if TYPE_CHECKING:
    from pathlib import Path


def proc(tmp_path: Path, pid: int, *, terminal: int, start: int, state: str = "S") -> Path:
    folder = tmp_path / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    fields = [state, "1", "1", "1", str(terminal), *["0"] * 14, str(start), "0", "0"]
    (folder / "stat").write_text(f"{pid} (a ) b) {' '.join(fields)}\n")
    return tmp_path


def test_without_a_terminal_it_is_the_parent(tmp_path: Path) -> None:
    proc(tmp_path, os.getpid(), terminal=0, start=5)
    proc(tmp_path, os.getppid(), terminal=0, start=7)
    facts = collect(tmp_path)
    assert facts.leader is None
    assert facts.parent == (os.getppid(), 7)


def test_with_a_terminal_it_is_the_leader_of_the_session(tmp_path: Path) -> None:
    proc(tmp_path, os.getpid(), terminal=34_816, start=5)
    proc(tmp_path, os.getsid(0), terminal=34_816, start=9)
    assert collect(tmp_path).leader == (os.getsid(0), 5 if os.getsid(0) == os.getpid() else 9)


def test_a_dead_leader_has_no_start(tmp_path: Path) -> None:
    proc(tmp_path, os.getpid(), terminal=34_816, start=5)
    if os.getsid(0) != os.getpid():
        proc(tmp_path, os.getsid(0), terminal=0, start=9, state="Z")
        assert collect(tmp_path).leader == (os.getsid(0), 0)


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    facts = collect(tmp_path)
    assert (facts.boot_id, facts.pid_namespace, facts.leader, facts.parent) == ("", "", None, None)


def test_the_start_of_a_process_tells_it_from_a_later_one() -> None:
    assert start_ticks(os.getpid()) == start_ticks(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert start_ticks(child.pid) is not None
    child.communicate(b"\n")
    assert start_ticks(child.pid) is None


def test_the_token_of_the_option_goes_before_that_of_the_environment() -> None:
    assert caller({"SWAMP_LOCK_TOKEN": "env"}).token == "env"  # noqa: S105
    assert caller({"SWAMP_LOCK_TOKEN": "env"}, "option").token == "option"  # noqa: S105
    assert caller({}).token == ""


# --- the name of a session --------------------------------------------------------------------


def facts(leader: tuple[int, int] | None, parent: tuple[int, int] | None, boot: str = "b") -> Facts:
    return Facts(boot, "pid:[1]", 9, leader, parent)


def test_a_session_has_one_name_for_all_its_commands() -> None:
    assert session(facts((5, 50), (6, 60))) == session(facts((5, 50), (7, 70)))
    assert session(facts(None, (6, 60))) == session(facts(None, (6, 60)))


def test_names_differ_between_sessions_scripts_and_boots() -> None:
    names = {
        session(facts((5, 50), None)),
        session(facts((5, 51), None)),
        session(facts(None, (5, 50))),
        session(facts((5, 50), None, boot="c")),
    }
    assert len(names) == 4


def test_who_cannot_be_told_has_no_name() -> None:
    assert session(facts((5, 0), (6, 60))) == ""
    assert session(facts(None, None)) == ""
    assert session(facts(None, (6, 60), boot="")) == ""
