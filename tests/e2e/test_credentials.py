"""Whose credentials a store is opened with: by session, by profile, and never by request."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.servers.clients import SECRET, s3_client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.machines import Machine, Result
    from tests.servers.moto import MotoServer

KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": SECRET}
"""What a shell with secrets has; a machine's other commands have none."""
WITH_KEYS = " ".join(f"{name}={value}" for name, value in KEYS.items())


@pytest.fixture
def bucket(alone: Machine, moto_process: MotoServer) -> str:
    """A bucket, set up by a shell with secrets; that shell is this process."""
    name = f"team-{uuid.uuid4()}"
    s3_client(moto_process.url).create_bucket(Bucket=name)
    alone.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1"}
    words = ("--bucket", name, "--prefix", "p", "--endpoint", moto_process.url, "--path-style")
    alone.ok("datastore", "setup", "s3", *words, cwd=None, **KEYS)
    return name


def another_session(machine: Machine, command: str) -> Result:
    """A command of a script of its own."""
    return machine.shell(f"{command}; exit $?")


def profile(machine: Machine, name: str) -> None:
    folder: Path = machine.root / "home" / ".aws"
    folder.mkdir(exist_ok=True)
    with (folder / "credentials").open("a") as file:
        file.write(f"[{name}]\naws_access_key_id = {name}\naws_secret_access_key = {SECRET}\n")


def test_the_block_says_what_was_given(
    alone: Machine, bucket: str, moto_process: MotoServer
) -> None:
    assert (alone.repo / ".swamp.yaml").read_text().partition("\n")[2] == (
        f"datastore:\n  type: s3\n  config:\n    bucket: {bucket}\n    prefix: p\n"
        f'    endpoint: "{moto_process.url}"\n    forcePathStyle: true\n'
    )


def test_secrets_serve_the_session_that_brought_them(alone: Machine, bucket: str) -> None:
    refused = another_session(alone, f"{WITH_KEYS} swampctl push --no-wait --json")
    error = refused.json["error"]
    assert (refused.code, error["code"]) == (12, "no_credentials")
    assert "they are never sent to the daemon" in error["hint"]
    assert bucket in error["summary"]
    alone.ok("push", cwd=None, **KEYS)
    assert another_session(alone, "swampctl push").code == 0  # what is open serves the user
    for log in alone.state.rglob("*"):
        assert not log.is_file() or SECRET.encode() not in log.read_bytes()


def test_without_any_credentials_the_hint_names_a_profile(alone: Machine, bucket: str) -> None:
    assert bucket
    alone.ok("daemon", "stop")
    refused = alone.run("push", "--no-wait", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (12, "no_credentials")
    assert "set AWS_PROFILE" in refused.json["error"]["hint"]


def test_another_profile_for_an_open_workspace_is_refused_naming_both(
    alone: Machine, bucket: str
) -> None:
    assert bucket
    for name in ("one", "two"):
        profile(alone, name)
    alone.ok("daemon", "stop")
    assert another_session(alone, "AWS_PROFILE=one swampctl push").code == 0
    refused = another_session(alone, "AWS_PROFILE=two swampctl push --json")
    assert (refused.code, refused.json["error"]["code"]) == (10, "workspace_clash")
    for name in ("AWS_PROFILE=one", "AWS_PROFILE=two"):
        assert name in refused.json["error"]["summary"]
    alone.ok("daemon", "stop")
    assert another_session(alone, "AWS_PROFILE=two swampctl push").code == 0


def test_a_better_profile_is_tried_at_once(alone: Machine, bucket: str) -> None:
    assert bucket
    profile(alone, "one")
    alone.ok("daemon", "stop")
    assert alone.run("push", "--no-wait").code == 12
    alone.ok("push", AWS_PROFILE="one")


def test_a_daemon_that_is_started_on_purpose_serves_whoever_asks(
    alone: Machine, bucket: str
) -> None:
    assert bucket
    alone.ok("daemon", "stop")
    assert another_session(alone, f"{WITH_KEYS} swampctl daemon start").code == 0
    assert another_session(alone, "swampctl push").code == 0
