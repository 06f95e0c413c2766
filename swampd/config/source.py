"""The text of a `.swamp.yaml` and what it says: read safely, with a place for each error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from swampd.errors import ConfigError, NoRepo

if TYPE_CHECKING:
    from pathlib import Path

SIZE_LIMIT_BYTES: Final = 1024 * 1024


def parser() -> YAML:
    """A YAML 1.2 parser that makes plain values only, whatever tags a file has."""
    return YAML(typ="safe", pure=True)


def read_text(path: Path) -> str:
    """The text of the file, without a byte order mark; its line ends as they are.

    Raises NoRepo when there is none, ConfigError when it is not a text of a sensible size.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise NoRepo(
            f"there is no {path}", "make one: `swampctl datastore setup`", path=str(path)
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", "see who owns it", path=str(path)
        ) from error
    if len(raw) > SIZE_LIMIT_BYTES:
        raise ConfigError(
            f"{path} has more than {SIZE_LIMIT_BYTES} bytes", "make it smaller", path=str(path)
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8: byte {error.start} is {raw[error.start]:#04x}",
            "save it as UTF-8",
            path=str(path),
        ) from error


def parse(text: str, path: Path) -> dict[Any, Any]:
    """The top-level mapping; an empty file is an empty one.

    Raises ConfigError with line and column for what is not YAML, or not a mapping.
    """
    try:
        found = parser().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = " ".join(str(error.problem or error.context).split())
        raise _malformed(path, place, problem) from error
    except (YAMLError, ValueError, RecursionError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else _first_line(error)
        raise _malformed(path, "", problem) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _malformed(path, "", "the top level is not a mapping of keys to values")
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _malformed(path: Path, place: str, problem: str) -> ConfigError:
    return ConfigError(
        f"{path}{place}: {problem}", "correct the file and try again", path=str(path)
    )
