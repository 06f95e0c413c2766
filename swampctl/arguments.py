"""Parsing command lines, and the options that many commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from swampctl import durations
from swampd.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise BadRequest in place of printing and ending."""
        raise BadRequest(message, f"see `{self.prog} --help`")


def new_parser(prog: str, summary: str) -> Parser:
    """A parser with what every command has."""
    parser = Parser(prog=prog, description=summary, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def add_repo(parser: argparse.ArgumentParser) -> None:
    """Which repo and store are meant."""
    parser.add_argument("--repo", help="the repo (else SWAMP_REPO_DIR, else the nearest one)")
    parser.add_argument("--datastore", help="the store, such as s3:bucket/prefix")


def add_token(parser: argparse.ArgumentParser) -> None:
    """A hold that is shown."""
    parser.add_argument("--token", help="the hold to act under (else SWAMP_LOCK_TOKEN)")


def add_scopes(parser: argparse.ArgumentParser, least: str) -> None:
    """SCOPE arguments: `+` at least one, `*` any number."""
    parser.add_argument(
        "scope", nargs=least, metavar="SCOPE", help="a path in the cache, such as data/aws-ec2/x"
    )


def add_waiting(parser: argparse.ArgumentParser) -> None:
    """How long to wait for locks of others."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--wait", type=seconds, help="how long to wait for others (60s)")
    group.add_argument("--no-wait", action="store_true", help="fail at once when it is held")


def wait_s(args: argparse.Namespace) -> float | None:
    """What `add_waiting` gave; None: nothing was said."""
    if args.no_wait:
        return 0.0
    found: float | None = args.wait
    return found


def seconds(text: str) -> float:
    """A duration argument."""
    try:
        return durations.seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def natural(text: str) -> int:
    """A whole number above zero."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def split_command(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before and behind the first `--`."""
    if "--" not in argv:
        return list(argv), []
    at = list(argv).index("--")
    return list(argv[:at]), list(argv[at + 1 :])
