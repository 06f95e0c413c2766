"""`swampd`: run the daemon in the foreground until it is told to stop."""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import resource
import sys
from contextlib import suppress
from typing import Final

from swampd import __version__
from swampd.errors import SwampdError
from swampd.instance import claim

MOST_FILES: Final = 65_536


def main() -> int:
    """Claim the state directory, then load the rest and serve."""
    parser = argparse.ArgumentParser(prog="swampd", description="The sync daemon of this user.")
    parser.add_argument("--version", action="version", version=f"swampd {__version__}")
    parser.parse_args()
    if sys.platform == "win32":
        sys.stderr.write("error: swampd does not run on Windows; use WSL 2\n")
        return 1
    os.umask(0o077)
    faulthandler.enable()
    sys.setswitchinterval(0.0005)
    _take_descriptors()
    try:
        instance = claim(os.environ)
        from swampd.daemon import serve  # noqa: PLC0415 - heavy; a second daemon never gets here

        gc.freeze()  # what is loaded stays for good: no collection looks at it again
        return serve(instance)
    except SwampdError as error:
        sys.stderr.write(f"error: {error.summary}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
        return error.meaning.exit_code


def _take_descriptors() -> None:
    """As many open files as this process may have: connections and watched repos each take one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


if __name__ == "__main__":
    raise SystemExit(main())
