"""The responder as a process: prints its URL, and serves until it is ended."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from swampd.stores.probe import Check
from tests.servers.responder.buckets import Bucket
from tests.servers.responder.server import Server
from tests.servers.responder.service import Service


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.responder", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--bucket", action="append", default=[], help="a bucket that is there")
    parser.add_argument("--hash-over", type=int, help="do not keep bodies of more bytes than this")
    parser.add_argument("--broken", choices=[check.name for check in Check])
    parser.add_argument("--leash", action="store_true", help="end with the standard input")
    asked = parser.parse_args()
    service = Service(Check[asked.broken] if asked.broken else None)
    service.buckets.update((name, Bucket()) for name in asked.bucket)
    asyncio.run(_serve(Server(service, asked.hash_over), asked.port, leash=asked.leash))


async def _serve(server: Server, port: int, *, leash: bool) -> None:
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    if leash:
        loop.add_reader(sys.stdin, end.set)
    print(await server.start(port), flush=True)  # noqa: T201 (what it is asked for)
    await end.wait()
    await server.stop()


main()
