"""A child process that may run until its lock is over: SIGTERM first, SIGKILL at the deadline.

On a terminal the command shares our process group, so that it can read from it and Ctrl-C reaches
both; without one it gets a group of its own, so that all of it can be ended, and signals to us are
passed on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from swampd.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LOOK_S: Final = 0.1
_PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class Limit:
    """When a command is asked to end, and when it is made to; None: never."""

    terminate_at: float | None
    kill_at: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended; a negative code is the signal that killed it."""

    code: int
    cut_short: bool
    """We ended it because its lock was over."""


class Child:
    """One command."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = command
        self._environ = environ
        self._own_group = not sys.stdin.isatty()

    def supervise(self, limit: Callable[[], Limit], clock: Callable[[], float]) -> Ended:
        """Run it to its end, or to the end of its lock.  Raises BadRequest if it cannot start."""
        try:
            process = subprocess.Popen(  # noqa: S603 - to run it is what we were asked for
                self._command,
                env=dict(self._environ),
                process_group=0 if self._own_group else None,
            )
        except OSError as error:
            raise BadRequest(
                f"{self._command[0]} cannot be run: {error.strerror}",
                "nothing was changed",
                command=self._command[0],
            ) from error
        with self._signals_passed_on(process):
            return self._watch(process, limit, clock)

    def _watch(
        self,
        process: subprocess.Popen[bytes],
        limit: Callable[[], Limit],
        clock: Callable[[], float],
    ) -> Ended:
        told = False
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(LOOK_S)
                kill_at = limit().kill_at
                return Ended(code, told or (kill_at is not None and clock() >= kill_at))
            now, over = clock(), limit()
            if over.kill_at is not None and now >= over.kill_at:
                self._send(process, signal.SIGKILL)
                return Ended(process.wait(), cut_short=True)
            if not told and over.terminate_at is not None and now >= over.terminate_at:
                told = True
                self._send(process, signal.SIGTERM)

    def _send(self, process: subprocess.Popen[bytes], number: int) -> None:
        with suppress(ProcessLookupError):
            if self._own_group:
                os.killpg(process.pid, number)
            elif process.poll() is None:
                process.send_signal(number)

    @contextmanager
    def _signals_passed_on(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """The command decides what a signal to us means; on a terminal it has its own Ctrl-C."""

        def pass_on(number: int, _frame: Any) -> None:
            if self._own_group or number not in {signal.SIGINT, signal.SIGQUIT}:
                self._send(process, number)

        before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
