"""Whose credentials requests are signed with, and what happens when they are renewed."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import (
    ConfigParseError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from swampd.domain.datastores import CloudEnvironment
from swampd.stores.s3 import credentials
from swampd.stores.s3.answers import Meaning, from_boto
from swampd.stores.s3.credentials import ASK_AGAIN, Chain
from tests.servers.canned import Canned, reply
from tests.servers.clients import SECRET, credentials_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "owner", "AWS_SECRET_ACCESS_KEY": SECRET}
PROFILES = f"""
[default]
aws_access_key_id = usual-key
aws_secret_access_key = {SECRET}

[work]
aws_access_key_id = work-key
aws_secret_access_key = {SECRET}
aws_session_token = work-token

[half]
aws_access_key_id = half-key
"""


@pytest.fixture
def own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon has secret keys in its environment."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    file = tmp_path / "profiles"
    file.write_text(PROFILES)
    return file


def chain_of(file: Path | None = None, **said: Any) -> Chain:
    return Chain(CloudEnvironment(shared_credentials_file=str(file) if file else "", **said))


def key_of(chain: Chain) -> str:
    return str(chain.frozen().access_key)


# --- which ----------------------------------------------------------------------------------


def test_the_default_profile_serves_who_names_none(files: Path) -> None:
    chain = chain_of(files)
    assert chain.identity() == ("", "")
    assert key_of(chain) == "usual-key"
    assert chain.identity() == ("shared-credentials-file", "access key ...-key")


def test_a_named_profile_serves_with_its_token(files: Path) -> None:
    chain = chain_of(files, profile="work")
    frozen = chain.frozen()
    assert (frozen.access_key, frozen.secret_key) == ("work-key", SECRET)
    assert frozen.token == "work-token"  # noqa: S105
    assert chain.identity()[0] == "shared-credentials-file (profile work)"


def test_obstore_signs_with_the_same(files: Path) -> None:
    given = chain_of(files, profile="work").for_obstore()
    assert given["access_key_id"] == "work-key"
    assert given["secret_access_key"] == SECRET
    assert given["token"] == "work-token"  # noqa: S105
    until = given["expires_at"]
    assert until
    assert timedelta(0) < until - datetime.now(UTC) <= ASK_AGAIN


def test_so_does_a_session_for_boto3(files: Path) -> None:
    chain = chain_of(files, profile="work")
    signing = chain.session().get_credentials()
    assert signing is not None
    assert signing.get_frozen_credentials() == chain.frozen()


@pytest.mark.usefixtures("own_keys")
def test_own_keys_serve_only_where_they_may(files: Path) -> None:
    with pytest.raises(NoCredentialsError):
        chain_of().frozen()
    assert key_of(chain_of(files)) == "usual-key"
    assert key_of(chain_of(own_secrets=True)) == "owner"
    assert key_of(chain_of(files, own_secrets=True)) == "owner"
    assert key_of(chain_of(files, own_secrets=True, profile="work")) == "work-key"


def test_the_region_is_that_of_the_environment_then_of_the_profile(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-1\n[profile x]\nregion = eu-west-2\n")

    def region(**said: Any) -> object:
        session = chain_of(config_file=str(config), **said).session()
        return session.get_config_variable("region")

    assert region() == "eu-west-1"
    assert region(profile="x") == "eu-west-2"
    assert region(region="eu-west-3", profile="x") == "eu-west-3"


# --- none -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_keys")
def test_what_was_tried_is_told() -> None:
    chain = chain_of()
    assert chain.tried() == ""
    with pytest.raises(NoCredentialsError):
        chain.frozen()
    tried = chain.tried().split(", ")
    assert "env" not in tried
    for link in ("shared-credentials-file", "config-file", "assume-role", "sso", "iam-role"):
        assert link in tried
    assert chain.identity() == ("", "")
    assert chain.generation == 0
    chain = chain_of(own_secrets=True)
    chain.frozen()
    assert "env" in chain.tried().split(", ")


@pytest.mark.parametrize(
    ("profile", "error"), [("none", ProfileNotFound), ("half", PartialCredentialsError)]
)
def test_a_profile_that_is_none_is_an_error_about_credentials(
    files: Path, profile: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as met:
        chain_of(files, profile=profile).frozen()
    assert from_boto(met.value).meaning is Meaning.NO_CREDENTIALS


def test_so_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("this is [no] file = of that kind")
    with pytest.raises(ConfigParseError) as met:
        chain_of(config_file=str(config)).frozen()
    assert from_boto(met.value).meaning is Meaning.NO_CREDENTIALS
    assert str(config) in str(met.value)


# --- renewed --------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain may be looked up again without waiting."""
    monkeypatch.setattr(credentials, "LEAST_BETWEEN", timedelta(0))


@pytest.mark.usefixtures("at_once")
def test_an_edited_file_is_picked_up(tmp_path: Path) -> None:
    chain = chain_of(credentials_file(tmp_path, "old1"))
    assert (key_of(chain), chain.generation) == ("old1", 1)
    assert not chain.look_again(1)
    assert (key_of(chain), chain.generation) == ("old1", 1)
    credentials_file(tmp_path, "new2")
    assert key_of(chain) == "old1"
    assert chain.look_again(1)
    assert (key_of(chain), chain.generation) == ("new2", 2)
    assert chain.identity()[1] == "access key ...new2"
    assert chain.for_obstore()["access_key_id"] == "new2"


@pytest.mark.usefixtures("at_once")
def test_a_file_that_is_gone_leaves_what_we_have(tmp_path: Path) -> None:
    file = credentials_file(tmp_path)
    chain = chain_of(file)
    chain.frozen()
    file.unlink()
    assert not chain.look_again(1)
    assert key_of(chain) == "tester"
    credentials_file(tmp_path, "back")
    assert chain.look_again(1)
    assert key_of(chain) == "back"


def test_the_chain_is_not_looked_up_again_at_once(tmp_path: Path) -> None:
    chain = chain_of(credentials_file(tmp_path, "old1"))
    chain.frozen()
    credentials_file(tmp_path, "new2")
    assert not chain.look_again(1)
    assert key_of(chain) == "old1"


def test_who_was_refused_with_old_ones_goes_on_with_those_found_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = chain_of(credentials_file(tmp_path, "old1"))
    chain.frozen()
    credentials_file(tmp_path, "new2")
    with monkeypatch.context() as patch:
        patch.setattr(credentials, "LEAST_BETWEEN", timedelta(0))
        assert chain.look_again(1)
    assert all(chain.look_again(1) for _ in range(3))
    assert not chain.look_again(2)


@pytest.mark.usefixtures("at_once")
def test_credentials_that_come_later_are_found(tmp_path: Path) -> None:
    chain = chain_of(tmp_path / "credentials")
    with pytest.raises(NoCredentialsError):
        chain.frozen()
    credentials_file(tmp_path)
    assert key_of(chain) == "tester"


# --- from a service -------------------------------------------------------------------------

ROLE = """
[profile role]
role_arn = arn:aws:iam::123456789012:role/team
source_profile = usual
region = us-east-1
"""
GIVEN = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><AssumedRoleId>a:b</AssumedRoleId><Arn>arn</Arn></AssumedRoleUser><Credentials>
<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>{until}</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>"""


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    with closing(Canned(b"").start()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        yield server


@pytest.fixture
def role(tmp_path: Path) -> Chain:
    """A role that is taken on with a key."""
    config = tmp_path / "config"
    config.write_text(ROLE)
    credentials_file(tmp_path).write_text(PROFILES.replace("default", "usual"))
    return chain_of(tmp_path / "credentials", profile="role", config_file=str(config))


def give(key: str, lasts: timedelta) -> bytes:
    until = (datetime.now(UTC) + lasts).isoformat()
    return reply(200, GIVEN.format(key=key, until=until).encode(), Content_Type="text/xml")


def test_a_role_is_taken_on_and_its_end_is_told(sts: Canned, role: Chain) -> None:
    sts.answer = give("role1", timedelta(hours=1))
    assert key_of(role) == "role1"
    assert role.identity() == ("assume-role (profile role)", "access key ...ole1")
    assert len(sts.heard) == 1
    until = role.for_obstore()["expires_at"]
    assert until
    assert until - datetime.now(UTC) <= ASK_AGAIN


def test_obstore_keeps_none_beyond_its_end(sts: Canned, role: Chain) -> None:
    lasts = ASK_AGAIN / 2
    sts.answer = give("role1", lasts)
    until = role.for_obstore()["expires_at"]
    assert until
    assert until - datetime.now(UTC) <= lasts


def test_a_role_that_is_renewed_is_another_generation(sts: Canned, role: Chain) -> None:
    sts.answer = give("role1", ASK_AGAIN / 2)
    assert (key_of(role), role.generation) == ("role1", 1)
    sts.answer = give("role2", timedelta(hours=1))
    assert (key_of(role), role.generation) == ("role2", 2)
    assert role.identity()[1] == "access key ...ole2"
    assert role.look_again(1)


def test_telling_whose_they_are_asks_nobody(sts: Canned, role: Chain) -> None:
    sts.answer = give("role1", ASK_AGAIN / 2)
    role.frozen()
    asked = len(sts.heard)
    for _ in range(3):
        assert role.identity()[1] == "access key ...ole1"
    assert len(sts.heard) == asked


def test_telling_whose_they_are_waits_for_nobody(sts: Canned, role: Chain) -> None:
    release = threading.Event()

    def late(_: object) -> bytes:
        release.wait()
        return give("role1", timedelta(hours=1))

    sts.answer = late
    asking = threading.Thread(target=role.frozen)
    asking.start()
    sts.tally.wait("heard")
    assert role.identity() == ("", "")
    release.set()
    asking.join()
    assert role.identity()[1] == "access key ...ole1"


@pytest.mark.usefixtures("at_once")
def test_a_role_that_is_refused_is_no_denial_of_the_store(sts: Canned, role: Chain) -> None:
    error = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    sts.answer = reply(403, error + b"</ErrorResponse>")
    with pytest.raises(CredentialRetrievalError) as met:
        role.frozen()
    answer = from_boto(met.value)
    assert answer.meaning is Meaning.NO_CREDENTIALS
    assert "AssumeRole" in answer.detail
    assert not role.look_again(0)
    sts.answer = give("role1", timedelta(hours=1))
    assert key_of(role) == "role1"
