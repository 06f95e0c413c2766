"""Where things are, in every environment a person or a service manager may give."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from swampd import locations
from swampd.errors import ConfigError, NoRepo, UnsafeLocation
from swampd.locations import LockFile

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = {"HOME": "/home/ada"}


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short path, so that a socket's fits."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def runtime(short: Path) -> Path:
    directory = short / "run"
    directory.mkdir(mode=0o700)
    return directory


# --- directories ------------------------------------------------------------------------------


def test_defaults_are_below_home() -> None:
    assert locations.state_dir(HOME) == Path("/home/ada/.local/state/swampd")
    assert locations.config_dir(HOME) == Path("/home/ada/.config/swampd")
    assert locations.config_file(HOME) == Path("/home/ada/.config/swampd/config.toml")
    assert locations.swamp_home(HOME) == Path("/home/ada/.swamp")
    assert locations.log_dir(Path("/s")) == Path("/s/logs")


def test_xdg_variables_are_followed() -> None:
    environ = HOME | {"XDG_STATE_HOME": "/state", "XDG_CONFIG_HOME": "/config"}
    assert locations.state_dir(environ) == Path("/state/swampd")
    assert locations.config_dir(environ) == Path("/config/swampd")


@pytest.mark.parametrize("value", ["", "relative/state"])
def test_an_xdg_variable_that_is_empty_or_relative_is_ignored(value: str) -> None:
    environ = HOME | {"XDG_STATE_HOME": value}
    assert locations.state_dir(environ) == Path("/home/ada/.local/state/swampd")


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}])
def test_without_home_the_user_database_is_asked(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: SimpleNamespace(pw_dir="/home/from-db"))
    assert locations.home(environ) == Path("/home/from-db")


def test_no_home_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_uid: int) -> object:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(UnsafeLocation, match=r"HOME is not set .* set HOME"):
        locations.state_dir({})


def test_a_relative_home_is_refused() -> None:
    with pytest.raises(UnsafeLocation, match="HOME is 'here'"):
        locations.home({"HOME": "here"})


def test_swamp_home_moves_the_caches() -> None:
    environ = HOME | {"SWAMP_HOME": "/data/swamp"}
    assert locations.repo_cache("r1", environ) == Path("/data/swamp/repos/r1")
    assert locations.repo_cache("r1", HOME) == Path("/home/ada/.swamp/repos/r1")


@pytest.mark.parametrize("value", ["swamp", "~/swamp"])
def test_a_swamp_home_that_is_not_absolute_is_refused(value: str) -> None:
    with pytest.raises(UnsafeLocation, match="SWAMP_HOME"):
        locations.swamp_home(HOME | {"SWAMP_HOME": value})


@pytest.mark.parametrize(
    "repo_id",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        ".hidden",
        "-f",
        "a b",
        "a\n",
        "\u00e4",
        "a\0",
        "x" * 129,
    ],
)
def test_a_repo_id_that_is_no_safe_name_is_refused(repo_id: str) -> None:
    with pytest.raises(ConfigError, match="repoId"):
        locations.repo_cache(repo_id, HOME)


@pytest.mark.parametrize(
    "repo_id", ["6f1e8f0e-7a55-4f4b-9c4e-1d2f3a4b5c6d", "a", "x" * 128, "a@b+c"]
)
def test_a_safe_repo_id_is_taken(repo_id: str) -> None:
    locations.check_repo_id(repo_id)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_a_private_directory_is_made_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "private"
    before = os.umask(umask)
    try:
        locations.ensure_private_dir(path)
        locations.ensure_private_dir(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_its_parents_are_made_too(tmp_path: Path) -> None:
    locations.ensure_private_dir(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


@pytest.mark.parametrize("mode", [0o710, 0o701, 0o755, 0o770, 0o1777])
def test_a_directory_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(UnsafeLocation, match=f"mode {mode:04o}.*chmod 700 {path}"):
        locations.ensure_private_dir(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_directory_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs"
    path.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(UnsafeLocation, match="belongs to user"):
        locations.ensure_private_dir(path)


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(UnsafeLocation, match="is not a directory"):
        locations.ensure_private_dir(path)
    with pytest.raises(UnsafeLocation, match="cannot be made"):
        locations.ensure_private_dir(path / "below")
    with pytest.raises(UnsafeLocation, match="cannot be looked at"):
        locations.check_private_dir(tmp_path / "none")


# --- socket -----------------------------------------------------------------------------------


def test_the_socket_is_in_the_runtime_directory(runtime: Path) -> None:
    environ = HOME | {"XDG_RUNTIME_DIR": str(runtime)}
    assert locations.runtime_dir(environ) == runtime / "swampd"
    assert locations.default_socket(environ) == runtime / "swampd" / "swampd.sock"


def test_without_a_runtime_directory_it_is_below_the_state() -> None:
    assert locations.default_socket(HOME) == Path("/home/ada/.local/state/swampd/run/swampd.sock")


def test_a_runtime_directory_that_cannot_be_used_counts_as_none(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = runtime / "file"
    file.write_text("")
    for value in ("", "relative", str(runtime / "none"), str(file)):
        assert locations.runtime_dir({"XDG_RUNTIME_DIR": value}) is None
    runtime.chmod(0o777)
    assert locations.runtime_dir({"XDG_RUNTIME_DIR": str(runtime)}) is None
    runtime.chmod(0o755)
    assert locations.runtime_dir({"XDG_RUNTIME_DIR": str(runtime)}) == runtime / "swampd"
    monkeypatch.setattr(os, "geteuid", lambda: runtime.stat().st_uid + 1)
    assert locations.runtime_dir({"XDG_RUNTIME_DIR": str(runtime)}) is None


def test_swampd_socket_overrides_everything(runtime: Path) -> None:
    environ = {"SWAMPD_SOCKET": "/x/s.sock", "XDG_RUNTIME_DIR": str(runtime)}
    assert locations.default_socket(environ) == Path("/x/s.sock")
    assert locations.client_socket(environ) == Path("/x/s.sock")


@pytest.mark.parametrize("value", ["s.sock", "unix:/x/s.sock"])
def test_a_socket_that_is_not_absolute_is_refused(value: str) -> None:
    with pytest.raises(UnsafeLocation, match="SWAMPD_SOCKET"):
        locations.default_socket(HOME | {"SWAMPD_SOCKET": value})


def test_the_limit_is_the_kernel_s(short: Path) -> None:
    fits = short / ("x" * (locations.SOCKET_LIMIT_BYTES - len(str(short)) - 1))
    assert locations.default_socket({"SWAMPD_SOCKET": str(fits)}) == fits
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(fits))
    too_long = f"{fits}x"
    with pytest.raises(UnsafeLocation, match="108 bytes; the kernel allows 107") as caught:
        locations.default_socket({"SWAMPD_SOCKET": too_long})
    assert caught.value.fields["path"] == too_long
    with socket.socket(socket.AF_UNIX) as bound, pytest.raises(OSError, match="too long"):
        bound.bind(too_long)


def test_bytes_count_not_characters(short: Path) -> None:
    with pytest.raises(UnsafeLocation, match="bytes"):
        locations.default_socket({"SWAMPD_SOCKET": str(short / ("\u00e4" * 60))})


def test_a_client_reads_the_socket_from_the_lock_file(tmp_path: Path, runtime: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime)}
    default = runtime / "swampd" / "swampd.sock"
    assert locations.client_socket(environ) == default
    state = locations.state_dir(environ)
    state.mkdir()
    written = LockFile(pid=42, socket="/run/user/7/swampd/swampd.sock", boot_id="b")
    locations.lock_file(state).write_bytes(written.to_bytes())
    assert locations.read_lock_file(state) == written
    assert locations.client_socket(environ) == Path(written.socket)
    assert locations.default_socket(environ) == default


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"42",
        b"\xff\xfe",
        b"[" * 4096,
        b'{"pid": 1, "socket": "/s"}',
        b'{"pid": "1", "socket": "/s", "boot_id": "b"}',
        b'{"pid": true, "socket": "/s", "boot_id": "b"}',
        b'{"pid": 0, "socket": "/s", "boot_id": "b"}',
        b'{"pid": 1, "socket": "s", "boot_id": "b"}',
        b'{"pid": 1, "socket": null, "boot_id": "b"}',
    ],
)
def test_a_damaged_lock_file_says_nothing(tmp_path: Path, content: bytes) -> None:
    locations.lock_file(tmp_path).write_bytes(content)
    assert locations.read_lock_file(tmp_path) is None


def test_a_lock_file_that_is_missing_or_no_file_says_nothing(tmp_path: Path) -> None:
    assert locations.read_lock_file(tmp_path) is None
    locations.lock_file(tmp_path).mkdir()
    assert locations.read_lock_file(tmp_path) is None


def test_the_two_locks_have_names_of_their_own(tmp_path: Path) -> None:
    assert locations.lock_file(tmp_path).name == "swampd.lock"
    assert locations.autostart_lock_file(tmp_path).name == "autostart.lock"


# --- the repo ---------------------------------------------------------------------------------


def make_repo(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / ".swamp.yaml").write_text("repoId: x\n")
    return path


def test_the_nearest_directory_upwards_is_the_repo(tmp_path: Path) -> None:
    make_repo(tmp_path)
    inner = make_repo(tmp_path / "inner")
    deep = inner / "a" / "b"
    deep.mkdir(parents=True)
    assert locations.find_repo(None, {}, deep) == inner
    assert locations.find_repo(None, {}, tmp_path) == tmp_path


def test_the_option_comes_before_the_variable_before_the_place(tmp_path: Path) -> None:
    here, option, variable = (make_repo(tmp_path / name) for name in ("here", "option", "variable"))
    environ = {"SWAMP_REPO_DIR": str(variable)}
    assert locations.find_repo(str(option), environ, here) == option
    assert locations.find_repo(None, environ, here) == variable
    assert locations.find_repo("", {"SWAMP_REPO_DIR": ""}, here) == here


def test_relative_names_count_from_the_caller_s_directory(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    assert locations.find_repo("../repo", {}, make_repo(tmp_path / "here")) == repo


def test_a_link_to_a_repo_is_that_repo(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    (tmp_path / "link").symlink_to(repo)
    assert locations.find_repo(str(tmp_path / "link"), {}, tmp_path) == repo
    assert locations.find_repo(None, {}, tmp_path / "link") == repo


def test_no_repo_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NoRepo, match=rf"no \.swamp\.yaml in {tmp_path} or any directory above"):
        locations.find_repo(None, {}, tmp_path)
    with pytest.raises(NoRepo, match=rf"no {tmp_path}/none/\.swamp\.yaml \(--repo\)"):
        locations.find_repo("none", {}, tmp_path)
    with pytest.raises(NoRepo, match=r"\(SWAMP_REPO_DIR\)"):
        locations.find_repo(None, {"SWAMP_REPO_DIR": str(tmp_path)}, tmp_path)


def test_a_directory_by_that_name_makes_no_repo(tmp_path: Path) -> None:
    (tmp_path / ".swamp.yaml").mkdir()
    with pytest.raises(NoRepo):
        locations.find_repo(None, {}, tmp_path)


def test_what_may_not_be_looked_into_is_no_repo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_self: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "is_file", denied)
    with pytest.raises(NoRepo):
        locations.find_repo(None, {}, tmp_path)


def test_set_up_takes_a_directory_that_is_no_repo_yet(tmp_path: Path) -> None:
    assert locations.find_repo_to_set_up(None, {}, tmp_path) == tmp_path
    (tmp_path / "new").mkdir()
    assert locations.find_repo_to_set_up("new", {}, tmp_path) == tmp_path / "new"
    repo = make_repo(tmp_path / "repo")
    (repo / "deep").mkdir()
    assert locations.find_repo_to_set_up(None, {}, repo / "deep") == repo
    with pytest.raises(NoRepo, match=r"no directory .*none \(--repo\)"):
        locations.find_repo_to_set_up("none", {}, tmp_path)
