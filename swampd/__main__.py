"""`swampd`: run the daemon in the foreground until it is told to stop."""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import sys

from swampd import __version__
from swampd.errors import SwampdError
from swampd.instance import claim


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


if __name__ == "__main__":
    raise SystemExit(main())
