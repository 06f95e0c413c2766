"""Whether the process that a hold hangs on lives."""

from __future__ import annotations

import os
import subprocess
import sys

from swampd import processes
from swampd.processes import Process

BOOT = "this boot"


def here(pid: int, start: int) -> Process:
    return Process(pid, start, BOOT, processes.own_namespace(), "process")


def test_a_living_process_is_not_gone() -> None:
    start = processes.start_ticks(os.getpid())
    assert start is not None
    assert not processes.is_gone(here(os.getpid(), start), BOOT)


def test_a_later_process_with_the_same_pid_is_another() -> None:
    start = processes.start_ticks(os.getpid())
    assert start is not None
    assert processes.is_gone(here(os.getpid(), start - 1), BOOT)


def test_one_that_ended_is_gone_even_as_a_zombie() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = processes.start_ticks(child.pid)
    assert start is not None
    child.communicate(b"\n")
    assert processes.is_gone(here(child.pid, start), BOOT)


def test_one_of_another_namespace_cannot_be_watched() -> None:
    other = Process(1, 1, BOOT, "pid:[0]", "session")
    assert not processes.can_be_watched(other, BOOT)
    assert not processes.is_gone(other, BOOT)


def test_one_of_another_boot_is_gone() -> None:
    assert processes.is_gone(Process(1, 1, "before", "pid:[0]", "session"), BOOT)


def test_a_process_goes_through_the_journal() -> None:
    one = here(7, 70)
    assert processes.from_row(one.row()) == one
    assert processes.from_row({"kind": "release"}) is None
