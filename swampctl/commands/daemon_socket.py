"""`daemon socket`: where the daemon listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl.arguments import new_parser
from swampd import locations

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    return new_parser(prog, summary).parse_args(argv)


def run(context: Context) -> int:
    """Print the path; asks nobody."""
    path = locations.client_socket(context.environ)
    context.output.result({"socket": str(path)}, [str(path)])
    return 0
