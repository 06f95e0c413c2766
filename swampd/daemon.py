"""The process: loop, signals, log, and an end within five seconds.

The socket is bound before any workspace is opened or any store is asked (API).  A clean end cancels
what is under way, then frees all leases.
"""

from __future__ import annotations

import asyncio
import gc
import getpass
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

import structlog

from swampd import __version__, locations
from swampd.chance import SystemRng
from swampd.clock import SystemClock
from swampd.config.daemon import DaemonConfig, load_daemon_config
from swampd.domain.leases import Identity
from swampd.domain.values import BootId
from swampd.environments import taken_from
from swampd.logs import logging_to
from swampd.opening import World
from swampd.rpc.server import Server
from swampd.serving import Workspaces
from swampd.threads import BoundedThreads

if TYPE_CHECKING:
    from swampd.instance import Instance

END_S: Final = 4.5
"""So long a clean end may take; then the process goes as it is."""
COLLECT_EVERY: Final = (10_000, 20, 20)
"""The collector of cycles looks after so many new objects."""
log = structlog.get_logger()


def serve(instance: Instance) -> int:
    """Serve until SIGTERM, SIGINT or Shutdown; the exit code.  Raises ConfigError."""
    config = load_daemon_config(locations.config_file(os.environ))
    # What is loaded stays, and what comes and goes by the thousand is in no cycle: looking at it as
    # often as Python does by itself would cost a tenth of a push.
    gc.freeze()
    gc.set_threshold(*COLLECT_EVERY)
    with logging_to(locations.log_dir(instance.state)):
        clean = asyncio.run(_serve(instance, config))
        log.info("daemon_ended", clean=clean)
    if not clean:
        # A thread may hang in a dead mount, and the interpreter would wait for it.
        sys.stderr.flush()
        os._exit(1)
    return 0


async def _serve(instance: Instance, config: DaemonConfig) -> bool:
    threads = BoundedThreads(config.threads.io)
    store_threads = BoundedThreads(config.threads.io)
    world = World(
        instance,
        _identity(instance),
        taken_from(os.environ),
        SystemClock(),
        SystemRng(),
        threads,
        store_threads,
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    workspaces = Workspaces(world)
    server = Server(workspaces, config.leases.ttl, stopping.set)
    await server.start(instance.socket)
    log.info("daemon_started", version=__version__, pid=os.getpid(), socket=str(instance.socket))
    try:
        return await _until_stopped(workspaces, server, stopping)
    finally:
        instance.socket.unlink(missing_ok=True)
        threads.close()
        store_threads.close()


async def _until_stopped(workspaces: Workspaces, server: Server, stopping: asyncio.Event) -> bool:
    """True when everything ended in time."""
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(workspaces.run())
        await stopping.wait()
        log.info("daemon_stopping")
        try:
            async with asyncio.timeout(END_S):
                await server.stop()
                workspaces.stop()
                await asyncio.wait((serving,))
        except TimeoutError:
            log.warning("daemon_cut_short", after_s=END_S)
            os._exit(1)  # the log's thread has the line, or it is lost; the leases lapse
    return True


def _identity(instance: Instance) -> Identity:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"
    return Identity(
        user,
        socket.gethostname(),
        os.getpid(),
        instance.daemon_id,
        BootId(instance.boot_id),
        __version__,
    )
