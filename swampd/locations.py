"""Where things are: repo, cache, state, configuration, socket (API: socket and processes).

Shared by daemon and client, standard library only.  Functions take the environment as a mapping,
so that a daemon can answer for the environment that it was given.  An empty variable counts as not
set; one of XDG's that is not absolute is ignored, as its specification demands.

Keeps true: nothing here leaves the place that it names (S9); a directory that the daemon relies on
for its safety is its owner's alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swampd.errors import ConfigError, NoRepo, UnsafeLocation

if TYPE_CHECKING:
    from collections.abc import Mapping

REPO_FILE: Final = ".swamp.yaml"

STARTED_BY: Final = "SWAMPD_STARTED_BY"
"""In the environment of a daemon that a client started in passing: names that client's session;
not set in one that was started on purpose."""

SOCKET_LIMIT_BYTES: Final = 103 if sys.platform == "darwin" else 107
"""The longest path that the kernel's socket address holds, without its closing NUL."""

_LOCK_FILE_LIMIT_BYTES: Final = 4096
_REPO_ID: Final = re.compile(r"[A-Za-z0-9_@][A-Za-z0-9._@+-]{0,127}")


# --- directories ------------------------------------------------------------------------------


def home(environ: Mapping[str, str]) -> Path:
    """The user's home: HOME, else what the user database says.

    Raises UnsafeLocation when neither gives an absolute path.
    """
    found = environ.get("HOME") or _home_in_user_database()
    if not found or not Path(found).is_absolute():
        raise UnsafeLocation(
            f"no home directory: HOME is {found!r}"
            if found
            else f"no home directory: HOME is not set and user {os.getuid()} is not in the user"
            " database",
            "set HOME to an absolute path",
        )
    return Path(found)


def _home_in_user_database() -> str | None:
    import pwd  # noqa: PLC0415 - there is none on Windows, which is refused with a sentence

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def state_dir(environ: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/swampd`: journals, logs, `swampd.lock`.  Raises UnsafeLocation (`home`)."""
    return _xdg(environ, "XDG_STATE_HOME", ".local/state") / "swampd"


def config_file(environ: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/swampd/config.toml`.  Raises UnsafeLocation (`home`)."""
    return config_dir(environ) / "config.toml"


def config_dir(environ: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/swampd`.  Raises UnsafeLocation (`home`)."""
    return _xdg(environ, "XDG_CONFIG_HOME", ".config") / "swampd"


def log_dir(state: Path) -> Path:
    """Where the daemon's logs are, below its state directory."""
    return state / "logs"


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    value = environ.get(variable, "")
    return Path(value) if Path(value).is_absolute() else home(environ) / default


def runtime_dir(environ: Mapping[str, str]) -> Path | None:
    """`$XDG_RUNTIME_DIR/swampd`; None unless the former is there, ours, and only we may write it.

    (After `su` the variable still names the directory of somebody else.)
    """
    value = environ.get("XDG_RUNTIME_DIR", "")
    if not Path(value).is_absolute():
        return None
    try:
        found = Path(value).stat()
    except OSError:
        return None
    writable_by_others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or writable_by_others:
        return None
    return Path(value) / "swampd"


def swamp_home(environ: Mapping[str, str]) -> Path:
    """`SWAMP_HOME`, else `~/.swamp`.  Raises UnsafeLocation for one that is not absolute."""
    value = environ.get("SWAMP_HOME")
    return _absolute("SWAMP_HOME", value) if value else home(environ) / ".swamp"


def repo_cache(repo_id: str, environ: Mapping[str, str]) -> Path:
    """Where the files of a repo are.  Raises ConfigError for an id that is no safe name."""
    check_repo_id(repo_id)
    return swamp_home(environ) / "repos" / repo_id


def check_repo_id(repo_id: str) -> None:
    """Raise ConfigError unless the id is safe as the name of one directory, everywhere."""
    if not _REPO_ID.fullmatch(repo_id):
        raise ConfigError(
            f"the repoId {repo_id!r} cannot be the name of a directory",
            "use letters, digits and . _ @ + - only, at most 128, the first a letter or digit",
            repo_id=repo_id,
        )


def ensure_private_dir(path: Path) -> None:
    """Make a directory that only we may enter, with its parents; or check the one that is there.

    Raises UnsafeLocation as `check_private_dir` does, and when it cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            path.chmod(0o700)  # whatever the umask took away
    except OSError as error:
        raise UnsafeLocation(
            f"the directory {path} cannot be made: {error.strerror}",
            "make it yourself, or name another place (XDG_STATE_HOME, SWAMPD_SOCKET)",
            path=str(path),
        ) from error
    check_private_dir(path)


def check_private_dir(path: Path) -> None:
    """Raise UnsafeLocation unless this is a directory, ours, and closed to group and world."""
    try:
        found = path.stat()
    except OSError as error:
        raise UnsafeLocation(
            f"the directory {path} cannot be looked at: {error.strerror}",
            "it must be there and be yours",
            path=str(path),
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeLocation(f"{path} is not a directory", "move it away", path=str(path))
    if found.st_uid != os.geteuid():
        raise UnsafeLocation(
            f"the directory {path} belongs to user {found.st_uid}, not to you ({os.geteuid()})",
            "whoever owns it could answer in the daemon's place: use a directory of your own",
            path=str(path),
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnsafeLocation(
            f"the directory {path} is open to others (mode {stat.S_IMODE(found.st_mode):04o})",
            f"run `chmod 700 {path}`, or use a directory of its own",
            path=str(path),
        )


# --- socket and lock file ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LockFile:
    """What `swampd.lock` says of the daemon that wrote it last, be it alive or not."""

    pid: int
    socket: str
    boot_id: str

    def to_bytes(self) -> bytes:
        """The content of the file, as `read_lock_file` reads it."""
        return json.dumps(asdict(self)).encode() + b"\n"


def lock_file(state: Path) -> Path:
    """The file that the daemon of this state directory holds with `flock` for its life."""
    return state / "swampd.lock"


def autostart_lock_file(state: Path) -> Path:
    """The file that clients hold with `flock` while one of them starts the daemon."""
    return state / "autostart.lock"


def read_lock_file(state: Path) -> LockFile | None:
    """What the lock file says; None when it is missing, unreadable or damaged.

    Whether that daemon lives is said by its `flock` alone.
    """
    try:
        with lock_file(state).open("rb") as file:
            found = json.loads(file.read(_LOCK_FILE_LIMIT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    match found:
        case {"pid": int(pid), "socket": str(socket), "boot_id": str(boot_id)} if (
            pid > 0 and not isinstance(pid, bool) and Path(socket).is_absolute()
        ):
            return LockFile(pid, socket, boot_id)
    return None


def default_socket(environ: Mapping[str, str]) -> Path:
    """Where a daemon started in this environment listens: SWAMPD_SOCKET, else in the runtime
    directory, else below the state directory.

    Its parent is the directory for `ensure_private_dir`.  Raises UnsafeLocation for a path that is
    not absolute or too long for a socket.
    """
    named = _named_socket(environ)
    if named is not None:
        return named
    directory = runtime_dir(environ) or state_dir(environ) / "run"
    return _short_enough(directory / "swampd.sock")


def client_socket(environ: Mapping[str, str]) -> Path:
    """Where a client looks for the daemon: SWAMPD_SOCKET, else what the lock file says, else
    where a daemon started here would listen.

    The lock file may speak of a daemon that is gone: after starting one, ask again.  Raises
    UnsafeLocation as `default_socket` does.
    """
    named = _named_socket(environ)
    if named is not None:
        return named
    found = read_lock_file(state_dir(environ))
    return _short_enough(Path(found.socket)) if found else default_socket(environ)


def _named_socket(environ: Mapping[str, str]) -> Path | None:
    value = environ.get("SWAMPD_SOCKET")
    return _short_enough(_absolute("SWAMPD_SOCKET", value)) if value else None


def _absolute(variable: str, value: str) -> Path:
    if not Path(value).is_absolute():
        raise UnsafeLocation(
            f"{variable} is {value!r}, which is not an absolute path",
            f"set {variable} to a path that begins with /",
        )
    return Path(value)


def _short_enough(path: Path) -> Path:
    size = len(os.fsencode(path))
    if size > SOCKET_LIMIT_BYTES:
        raise UnsafeLocation(
            f"the socket path {path} has {size} bytes; the kernel allows {SOCKET_LIMIT_BYTES}",
            "set SWAMPD_SOCKET (or XDG_RUNTIME_DIR) to a shorter path",
            path=str(path),
        )
    return path


# --- the repo ---------------------------------------------------------------------------------


def find_repo(option: str | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """The repo that is meant: `--repo`, else SWAMP_REPO_DIR, else the nearest directory from
    `cwd` upwards, each with a `.swamp.yaml`; with every link resolved.

    A relative path counts from `cwd`.  Raises NoRepo that names what was looked for.
    """
    named = _named_repo(option, environ, cwd)
    if named is None:
        here = cwd.resolve()
        for directory in (here, *here.parents):
            if _is_repo(directory):
                return directory
        raise NoRepo(
            f"no {REPO_FILE} in {here} or any directory above it",
            "go into a repo, name one with --repo or SWAMP_REPO_DIR, or make this one a repo:"
            " `swampctl datastore setup`",
            path=str(here),
        )
    directory, said_by = named
    if not _is_repo(directory):
        raise NoRepo(
            f"there is no {directory / REPO_FILE} ({said_by})",
            "name another directory, or make this one a repo: `swampctl datastore setup`",
            path=str(directory),
        )
    return directory


def find_repo_to_set_up(option: str | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """As `find_repo`; where there is no `.swamp.yaml` yet: the named directory, else `cwd`.

    Raises NoRepo when the named directory does not exist.
    """
    named = _named_repo(option, environ, cwd)
    if named is None:
        try:
            return find_repo(None, {}, cwd)
        except NoRepo:
            return cwd.resolve()
    directory, said_by = named
    if not directory.is_dir():
        raise NoRepo(
            f"there is no directory {directory} ({said_by})",
            "make it first, or name another",
            path=str(directory),
        )
    return directory


def _is_repo(directory: Path) -> bool:
    try:
        return (directory / REPO_FILE).is_file()
    except OSError:  # one that may not be looked into is not ours to use
        return False


def _named_repo(
    option: str | None, environ: Mapping[str, str], cwd: Path
) -> tuple[Path, str] | None:
    for said_by, value in (("--repo", option), ("SWAMP_REPO_DIR", environ.get("SWAMP_REPO_DIR"))):
        if value:
            return (cwd / value).resolve(), said_by
    return None
