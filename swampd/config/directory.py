"""A store in a folder, as a configuration spells it.

A path: `~` and `~user` are expanded as a shell does; a relative one counts from the repo, whoever
named it (the daemon does not stand in the caller's directory).  `$NAME` is refused: the daemon has
not the environment of whoever wrote it, and a directory called `$HOME` is never what is meant.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swampd.config.keys import refuse_unknown
from swampd.domain.datastores import DirectorySettings
from swampd.errors import ConfigError
from swampd.locations import home

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPE: Final = "directory"
_VARIABLE: Final = re.compile(r"\$(\{|[A-Za-z_])")


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a path in a configuration is read against: the repo, and the user's environment."""

    repo: Path
    environ: Mapping[str, str]


def read_directory(config: object, where: str, whereabouts: Whereabouts) -> DirectorySettings:
    """The store that a mapping of settings names.  Raises ConfigError."""
    if not isinstance(config, dict):
        raise ConfigError(f"{where} is not a mapping of keys to values", "it needs `path`")
    refuse_unknown(config, {"path"}, where)
    path = config.get("path")
    if not isinstance(path, str):
        raise ConfigError(
            f"{where} has no path" if path is None else f"the path in {where} is no text",
            "name the folder of the store: `path: /mnt/team/store`",
        )
    return at(path, where, whereabouts)


def at(text: str, where: str, whereabouts: Whereabouts) -> DirectorySettings:
    """The store in the folder that a person wrote.  Raises ConfigError."""
    if not text or "\0" in text:
        raise ConfigError(f"the path of {where} is {text!r}", "name a folder")
    if _VARIABLE.search(text):
        raise ConfigError(
            f"the path {text!r} of {where} has a variable, and variables are not expanded here",
            "write the path out, begin it with ~, or let your shell expand it",
            path=text,
        )
    path = whereabouts.repo / _with_home(text, where, whereabouts.environ)
    return in_folder(path.resolve() if ".." in path.parts else path, where)


def in_folder(path: Path, where: str) -> DirectorySettings:
    """The store in the folder `path` (absolute).

    Raises ConfigError for one that is not UTF-8: neither a message nor a file could name it.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"the path {str(path)!r} of {where} is not UTF-8", "name another folder"
        ) from None
    return DirectorySettings(path)


def _with_home(text: str, where: str, environ: Mapping[str, str]) -> Path:
    if not text.startswith("~"):
        return Path(text)
    first, _, rest = text.partition("/")
    if first == "~":
        return home(environ) / rest
    found = os.path.expanduser(first)  # noqa: PTH111 - Path.expanduser says less when it fails
    if found == first:
        raise ConfigError(
            f"the path {text!r} of {where} names the home of a user who is not known",
            "write the path out, or ./~... for a folder with such a name",
            path=text,
        )
    return Path(found) / rest
