"""The daemon's `config.toml`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from swampd.config.daemon import DaemonConfig, load_daemon_config
from swampd.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_no_file_means_the_defaults(file: Path) -> None:
    found = load_daemon_config(file)
    assert found == DaemonConfig()
    assert (found.leases.ttl, found.threads.io) == (timedelta(seconds=30), 8)


def test_what_it_does_not_say_stays_the_default(file: Path) -> None:
    file.write_text('[leases]\nttl = "10s"\n')
    found = load_daemon_config(file)
    assert (found.leases.ttl, found.threads.io) == (timedelta(seconds=10), 8)


def test_all_of_it(file: Path) -> None:
    file.write_text('[leases]\nttl = "2m"\n[threads]\nio = 3\n')
    found = load_daemon_config(file)
    assert (found.leases.ttl, found.threads.io) == (timedelta(minutes=2), 3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[leases\n", "line 1, column 8"),
        ('[lease]\nttl = "3s"\n', "unknown key 'lease' in .*did you mean 'leases'"),
        ('[leases]\ntl = "3s"\n', r"unknown key 'tl' in \[leases\] of .*did you mean 'ttl'"),
        ("[leases]\nttl = 30\n", "ttl is not a text"),
        ('[leases]\nttl = "30"\n', "not a duration"),
        ('[leases]\nttl = "1s"\n', "from 2s to 120s"),
        ('[leases]\nttl = "121s"\n', "from 2s to 120s"),
        ("leases = 3\n", "Expected `object`"),
        ("[threads]\nio = 0\n", "Expected `int` >= 1 - at `.*io`"),
        ("[threads]\nio = 65\n", "Expected `int` <= 64"),
        ('[threads]\nio = "8"\n', "Expected `int`, got `str`"),
    ],
)
def test_what_cannot_be_right_is_refused_with_the_file_s_name(
    file: Path, text: str, problem: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=problem) as caught:
        load_daemon_config(file)
    assert str(file) in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="utf-8"):
        load_daemon_config(file)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        load_daemon_config(file)
