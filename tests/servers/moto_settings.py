"""gunicorn's settings for moto: one worker, as what moto holds is in its memory.

A worker that dies ends the server, loudly: another one would start with nothing in it.  The server
lives as long as its standard input, so it ends with whoever started it, however that ends.
"""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread
from typing import Any, Final

LOG_VARIABLE: Final = "SWAMPD_TEST_MOTO_LOG"
DENIALS: Final = "/_moto/denials"

wsgi_app = "tests.servers.moto_app:app()"
worker_class = "gthread"
workers = 1
threads = 64
backlog = 512
timeout = 0  # no heartbeat: a busy machine is no reason to kill it
graceful_timeout = 1
keepalive = 3600
control_socket_disable = True
loglevel = "warning"


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 (as gunicorn calls it)
    """In the worker: end with the standard input."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getppid(), signal.SIGQUIT)

    Thread(target=watch, daemon=True).start()


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 (as gunicorn calls it)
    """In the parent: do not start another one."""
    server.log.error("moto has ended, and what it held is gone")
    os._exit(1)
