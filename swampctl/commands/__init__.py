"""The commands, one module each, loaded only when asked for.

A module has `parse(prog, summary, argv) -> Namespace` and `run(context) -> exit code`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

from swampd.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Command(NamedTuple):
    """Where a command is, and what it does in one line."""

    module: str
    summary: str


COMMANDS: Final[Mapping[tuple[str, ...], Command]] = {
    ("status",): Command("status", "show the daemon, the repo, its scopes, locks and halts"),
    ("push",): Command("push", "bring local edits into the datastore"),
    ("pull",): Command("pull", "bring the datastore into the cache"),
    ("lock", "acquire"): Command("lock_acquire", "take a lock and print its token"),
    ("lock", "release"): Command("lock_release", "end a hold"),
    ("lock", "list"): Command("lock_list", "show the locks that are held"),
    ("lock", "show"): Command("lock_show", "show one lock"),
    ("lock", "break"): Command("lock_break", "break a lock whose holder is not to be waited for"),
    ("lock", "run"): Command("lock_run", "acquire, pull, run a command, push, release"),
    ("scope", "list"): Command("scope_list", "show the scopes of the datastore"),
    ("conflicts", "list"): Command("conflicts_list", "show what waits for a decision"),
    ("conflicts", "resolve"): Command("conflicts_resolve", "decide: ours, theirs or both"),
    ("cache", "path"): Command("cache_path", "print where the files are"),
    ("datastore", "setup"): Command("datastore_setup", "give a repo its datastore"),
    ("datastore", "status"): Command("datastore_status", "show the store and probe it"),
    ("datastore", "compact"): Command("datastore_compact", "delete what no head names any more"),
    ("daemon", "start"): Command("daemon_start", "start the daemon"),
    ("daemon", "stop"): Command("daemon_stop", "stop the daemon; leases are freed"),
    ("daemon", "status"): Command("daemon_status", "show whether the daemon answers"),
    ("daemon", "socket"): Command("daemon_socket", "print the path of the socket"),
}
_WITH_VALUE: Final = frozenset({"--repo", "--datastore"})


def find_command(words: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The command that a line names, and its arguments; common options may stand before it.

    Raises BadRequest for none or an unknown one, naming the nearest.
    """
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _WITH_VALUE else 1
    front, rest = list(words[:at]), list(words[at:])
    for size in (2, 1):
        name = tuple(rest[:size])
        if name in COMMANDS:
            return name, front + rest[size:]
    raise _unknown(rest)


def _unknown(rest: Sequence[str]) -> BadRequest:
    groups = sorted({name[0] for name in COMMANDS if len(name) > 1})
    if rest and rest[0] in groups:
        below = [name[1] for name in COMMANDS if name[0] == rest[0] and len(name) > 1]
        return BadRequest(
            f"swampctl {rest[0]} needs one of: {', '.join(below)}", "see `swampctl --help`"
        )
    said = " ".join(rest[:2])
    names = [" ".join(name) for name in COMMANDS]
    near = get_close_matches(said, names, n=1) or get_close_matches(
        said.partition(" ")[0], [*names, *groups], n=1
    )
    return BadRequest(
        f"there is no command {said!r}" if said else "no command was named",
        f"did you mean `swampctl {near[0]}`?" if near else "see `swampctl --help`",
    )


def help_text() -> str:
    """All commands, one a line."""
    width = max(len(" ".join(name)) for name in COMMANDS)
    lines = [f"  {' '.join(name):<{width}}  {one.summary}" for name, one in COMMANDS.items()]
    return "\n".join(
        ["usage: swampctl COMMAND [ARGUMENT...]", "", *lines, "", "  COMMAND --help says more"]
    )
