"""A command that gives credentials: what it prints stays with it, and it ends."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import traceback
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import CredentialRetrievalError

from swampd.domain.datastores import CloudEnvironment
from swampd.stores.s3.credentials import Chain
from tests.servers.canned import Canned, reply
from tests.servers.clients import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRINTED = "my-secret-token"
ARGUMENT = "my-secret-argument"
GIVEN: dict[str, Any] = {"Version": 1, "AccessKeyId": "given1", "SecretAccessKey": SECRET}


@pytest.fixture
def command(tmp_path: Path) -> Callable[[str], Chain]:
    """The chain of a profile whose command is this shell script; a role's whose source it is."""

    def make(script: str, profile: str = "own") -> Chain:
        file = tmp_path / "give-me"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return chain_of(tmp_path, f"{file} --token {ARGUMENT}", profile)

    return make


def chain_of(home: Path, line: str, profile: str = "own") -> Chain:
    config = home / "config"
    config.write_text(
        f"[profile own]\ncredential_process = {line}\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/team\nsource_profile = own\n"
        "region = us-east-1\n"
    )
    return Chain(CloudEnvironment(config_file=str(config), profile=profile))


def prints(**said: object) -> str:
    return f"echo '{json.dumps({**GIVEN, **said})}'"


def failure(chain: Chain) -> str:
    """The text of the error, with all that a log would show of it."""
    with pytest.raises(CredentialRetrievalError) as met:
        chain.frozen()
    text = "".join(traceback.format_exception(met.value))
    assert PRINTED not in text
    assert ARGUMENT not in text
    return str(met.value)


def test_its_credentials_are_taken(command: Callable[..., Chain]) -> None:
    chain = command(f"echo {PRINTED} >&2; {prints(SessionToken='t')}")
    frozen = chain.frozen()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("given1", SECRET, "t")
    assert chain.identity()[0] == "custom-process (profile own)"


@pytest.mark.parametrize("profile", ["own", "role"])
@pytest.mark.parametrize(
    ("script", "why"),
    [
        (f"echo {PRINTED} >&2; echo {PRINTED}; exit 3", "ended with status 3"),
        (f"echo {PRINTED}", "printed what is no credentials"),
        (f"echo {PRINTED}; kill -9 $$", "ended with status -9"),
        (r"printf '\377'", "printed what is no credentials"),
        ("echo []", "printed what is no credentials"),
        (prints(Version=PRINTED), "printed what is no credentials"),
        (f"""echo '{{"Version": 1, "AccessKeyId": "{PRINTED}"}}'""", "no credentials"),
        (prints(Expiration=PRINTED), "printed what is no credentials"),
    ],
)
def test_what_it_prints_is_told_to_nobody(
    command: Callable[..., Chain], script: str, why: str, profile: str
) -> None:
    said = failure(command(script, profile))
    assert why in said
    assert "custom-process: the command '" in said
    assert "/give-me' " in said


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/nonexistent/x --password p", "the command '/nonexistent/x' cannot be started: No such"),
        ("/etc --password p", "the command '/etc' cannot be started: Permission denied"),
        ("x 'quote", "the command '' printed"),
        ("", "the command '' is not named in the profile"),
    ],
)
def test_a_command_that_cannot_be_run_is_named(tmp_path: Path, line: str, why: str) -> None:
    assert why in failure(chain_of(tmp_path, line))


def test_nor_does_it_reach_the_log_when_they_are_renewed(
    command: Callable[..., Chain],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs = logging.getLogger("botocore.credentials")
    monkeypatch.setattr(theirs, "disabled", False)  # import-linter, run by a test, disables all
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    first = f"mkdir {tmp_path}/once 2>/dev/null && {prints(Expiration=soon)} && exit 0"
    chain = command(f"{first}; echo {PRINTED} >&2; echo {PRINTED}; exit 1")
    with caplog.at_level(logging.DEBUG, theirs.name):
        assert "ended with status 1" in failure(chain)
    assert "Refreshing temporary credentials failed" in caplog.text
    assert PRINTED not in caplog.text


def test_a_command_that_does_not_end_is_killed_with_what_it_started(
    command: Callable[..., Chain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = command(f"(echo begun; exec sleep 600) >{tmp_path}/pipe & wait")
    os.mkfifo(tmp_path / "pipe")
    with ExitStack() as stack:

        def late(_: object, timeout: float) -> None:
            child = stack.enter_context((tmp_path / "pipe").open())
            assert child.readline() == "begun\n"
            stack.callback(lambda: ended.append(child.read()))
            raise subprocess.TimeoutExpired("", timeout)

        ended: list[str] = []
        monkeypatch.setattr(subprocess.Popen, "communicate", late)
        assert "did not end within 120 s" in failure(chain)
    assert ended == [""]


def test_it_cannot_ask_anybody(command: Callable[..., Chain]) -> None:
    assert "ended with status 7" in failure(command("read answer || exit 7"))


def test_a_role_is_taken_on_with_what_it_gives(
    command: Callable[..., Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Canned(reply(403, b"<Error/>")).start()) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        assert "AssumeRole" in failure(command(prints(), "role"))
        assert "Credential=given1/" in sts.heard[0].headers["authorization"]
