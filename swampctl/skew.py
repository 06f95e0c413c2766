"""Client and daemon of different versions: the same major goes on, another is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd import __version__
from swampd.errors import VersionSkew

if TYPE_CHECKING:
    from swampctl.output import Output


def check_versions(daemon: str, output: Output, client: str = __version__) -> None:
    """Say so when the minor differs; raises VersionSkew for another major."""
    theirs, ours = _parts(daemon), _parts(client)
    if theirs[:2] == ours[:2]:
        return
    if theirs[0] == ours[0]:
        output.say(
            f"note: the daemon is {daemon}, swampctl is {client}; `swampctl daemon stop` lets the"
            " next command start the one that is installed"
        )
        return
    older = "the daemon" if theirs < ours else "swampctl"
    fix = (
        "run `swampctl daemon stop`: the next command starts the one that is installed"
        if theirs < ours
        else "upgrade swampctl"
    )
    raise VersionSkew(
        f"the daemon is {daemon} and swampctl is {client}: {older} is too old for the other",
        fix,
        daemon=daemon,
        client=client,
    )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split(".")[:2])
