"""The daemon's own settings: `config.toml`.

A key is here once something reads it; any other is an error, as a mistyped one would be.
"""

from __future__ import annotations

import tomllib
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from swampd.config.keys import refuse_unknown
from swampd.domain.durations import parse_duration
from swampd.domain.leases import DEFAULT_TTL_MS, LEAST_TTL_MS, MOST_TTL_MS
from swampd.errors import ConfigError
from swampd.threads import IO_THREADS

if TYPE_CHECKING:
    from pathlib import Path

_LEAST_TTL: Final = timedelta(milliseconds=LEAST_TTL_MS)
_MOST_TTL: Final = timedelta(milliseconds=MOST_TTL_MS)


class LeaseSettings(msgspec.Struct, frozen=True):
    """`[leases]`: how long a lock outlives a holder that has died."""

    ttl: timedelta = timedelta(milliseconds=DEFAULT_TTL_MS)


class ThreadSettings(msgspec.Struct, frozen=True):
    """`[threads]`: how much of the file system's work is done at once."""

    io: Annotated[int, msgspec.Meta(ge=1, le=64)] = IO_THREADS


class DaemonConfig(msgspec.Struct, frozen=True):
    """All of `config.toml`, with the defaults where it says nothing."""

    leases: LeaseSettings = LeaseSettings()
    threads: ThreadSettings = ThreadSettings()


def load_daemon_config(path: Path) -> DaemonConfig:
    """What the file says; the defaults where there is none.

    Raises ConfigError for what is not TOML (with line and column), an unknown table or key, or a
    value that cannot be right.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return DaemonConfig()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _refused(path, str(error)) from error
    _refuse_unknown_keys(found, path)
    try:
        _spell_ttl(found)
        config = msgspec.convert(found, DaemonConfig)
    except (ValueError, msgspec.ValidationError) as error:
        raise _refused(path, str(error)) from error
    if not _LEAST_TTL <= config.leases.ttl <= _MOST_TTL:
        raise _refused(path, "[leases] ttl must be from 2s to 120s")
    return config


def _refuse_unknown_keys(found: dict[str, object], path: Path) -> None:
    tables = {"leases": LeaseSettings, "threads": ThreadSettings}
    refuse_unknown(found, tables, str(path))
    for name, table in found.items():
        if isinstance(table, dict):
            known = tables[name].__struct_fields__
            refuse_unknown(table, known, f"[{name}] of {path}")


def _spell_ttl(found: dict[str, object]) -> None:
    """Put the length in place of its spelling; raises ValueError for one that is none."""
    leases = found.get("leases")
    if isinstance(leases, dict) and "ttl" in leases:
        if not isinstance(leases["ttl"], str):
            raise ValueError('[leases] ttl is not a text: write for example ttl = "30s"')
        leases["ttl"] = parse_duration(leases["ttl"])


def _refused(path: Path, problem: str) -> ConfigError:
    return ConfigError(f"{path}: {problem}", "correct the file and try again", path=str(path))
