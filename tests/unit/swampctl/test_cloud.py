"""What the daemon is told of our environment, and what it never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from swampctl import cloud, owner
from swampctl.autostart import _environment
from swampctl.context import Context
from swampctl.output import Output
from swampd.locations import STARTED_BY
from swampd.v1 import datastore_pb2, lock_pb2

SECRET = "wJalrXUtnFEMI-planted"  # noqa: S105
KEY_ID = "AKIAPLANTED"
TOKEN = "token-planted"  # noqa: S105
ENVIRON = {
    "HOME": "/home/ada",
    "AWS_PROFILE": "team",
    "AWS_REGION": "eu-west-1",
    "AWS_CONFIG_FILE": "/etc/aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "credentials",
    "GOOGLE_APPLICATION_CREDENTIALS": "../google.json",
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN,
    "DATABASE_PASSWORD": SECRET,
}


def context(tmp_path: Path, environ: dict[str, str]) -> Context:
    (tmp_path / ".swamp.yaml").touch()
    from argparse import Namespace  # noqa: PLC0415

    args = Namespace(repo=str(tmp_path), datastore=None)
    return Context(args, environ, Path("/work"), Output(as_json=False))


def test_names_and_paths_are_told() -> None:
    told = cloud.environment(ENVIRON, Path("/work/x"))
    assert (told.profile, told.region) == ("team", "eu-west-1")
    assert told.config_file == "/etc/aws/config"
    assert told.shared_credentials_file == "/work/x/credentials"
    assert told.google_credentials == "/work/x/../google.json"
    assert told.holds_secrets
    assert told.session == owner.session(owner.collect()) != ""


def test_nothing_is_told_of_an_empty_environment() -> None:
    told = cloud.environment({"AWS_PROFILE": "", "AWS_SECRET_ACCESS_KEY": ""}, Path("/work"))
    told.ClearField("session")
    assert told.ByteSize() == 0


def test_the_second_names_count_where_the_first_are_not_set() -> None:
    told = cloud.environment({"AWS_DEFAULT_PROFILE": "d", "AWS_DEFAULT_REGION": "r"}, Path("/"))
    assert (told.profile, told.region) == ("d", "r")


def test_a_tilde_is_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    told = cloud.environment({"AWS_CONFIG_FILE": "~/aws"}, Path("/work"))
    assert told.config_file == "/home/ada/aws"


@pytest.mark.parametrize("name", sorted(cloud.SECRETS))
def test_that_there_are_secrets_is_told(name: str) -> None:
    assert cloud.environment({name: "x"}, Path("/")).holds_secrets


def test_no_secret_is_in_a_request(tmp_path: Path) -> None:
    here = context(tmp_path, ENVIRON)
    for request in (
        lock_pb2.AcquireRequest(workspace=here.workspace(), caller=here.caller()),
        datastore_pb2.SetupRequest(repo=str(tmp_path), environment=here.environment()),
    ):
        sent = request.SerializeToString()
        assert b"team" in sent
        for secret in (SECRET, KEY_ID, TOKEN):
            assert secret.encode() not in sent
            assert secret not in repr(request)


# --- a daemon that is started -----------------------------------------------------------------


def test_a_daemon_started_in_passing_knows_for_whose_session_its_secrets_are() -> None:
    given = _environment({**ENVIRON, "SWAMP_LOCK_TOKEN": "t"}, in_passing=True)
    assert given[STARTED_BY] == owner.session(owner.collect())
    assert given["AWS_SECRET_ACCESS_KEY"] == SECRET
    assert not cloud.VARIABLES & given.keys()
    assert "SWAMP_LOCK_TOKEN" not in given


def test_a_daemon_started_on_purpose_keeps_what_it_was_given() -> None:
    assert _environment({**ENVIRON, STARTED_BY: "session 1"}, in_passing=False) == ENVIRON


def test_who_cannot_be_told_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "session", lambda _facts: "")
    assert _environment({}, in_passing=True) == {STARTED_BY: "nobody"}
