"""A look-up that hangs holds up nobody for long, and one that fails is told as what it is."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

from swampd.domain.datastores import CloudEnvironment
from swampd.stores.s3 import credentials, look_ups
from swampd.stores.s3.answers import Meaning, from_boto
from swampd.stores.s3.credentials import Chain
from tests.servers import canned
from tests.servers.canned import Canned, reply
from tests.servers.clients import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Helper:
    """A `credential_process` that waits until it is told what to print."""

    def __init__(self, home: Path) -> None:
        self._runs = home / "runs"
        self._pipe = home / "pipe"
        self._before = threading.enumerate()
        self._to_run: TextIO | None = None
        os.mkfifo(self._pipe)
        program = home / "helper"
        program.write_text(f"#!/bin/sh\necho >>{self._runs}\nexec cat {self._pipe}\n")
        program.chmod(0o755)
        config = home / "config"
        config.write_text(f"[default]\ncredential_process = {program}\n")
        self.chain = Chain(CloudEnvironment(config_file=str(config)))

    def waits(self) -> None:
        """Until a run waits."""
        self._to_run = self._pipe.open("w")

    def prints(self, key: str, lasts: timedelta | None = None) -> None:
        """Let the run that waits, or else the next one, print this key and end."""
        said = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": SECRET}
        if lasts is not None:
            said["Expiration"] = (datetime.now(UTC) + lasts).isoformat()
        self._say(json.dumps(said))

    def ends(self) -> None:
        """The same, with nothing."""
        self._say("")

    def _say(self, text: str) -> None:
        with self._to_run or self._pipe.open("w") as pipe:
            pipe.write(text)
        self._to_run = None

    @property
    def runs(self) -> int:
        return len(self._runs.read_text())

    def asking(self) -> list[threading.Thread]:
        """The threads that look credentials up."""
        threads = (each for each in threading.enumerate() if each not in self._before)
        return [thread for thread in threads if thread.name == "credentials"]

    def join(self) -> None:
        """Until nothing is looked up."""
        for thread in self.asking():
            thread.join(30)
        assert not self.asking()

    def key(self) -> str:
        return str(self.chain.frozen().access_key)


@pytest.fixture
def helper(tmp_path: Path) -> Helper:
    return Helper(tmp_path)


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits gives up at once."""
    monkeypatch.setattr(look_ups, "DEADLINE_S", 0.0)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain may be looked up again without waiting."""
    monkeypatch.setattr(credentials, "LEAST_BETWEEN", timedelta(0))


class Ends(Protocol):
    def __call__(self, *, urgent: bool) -> None: ...


@pytest.fixture
def ends_soon(monkeypatch: pytest.MonkeyPatch) -> Ends:
    """What ends within two hours may be refreshed now; or must be."""

    def make(*, urgent: bool) -> None:
        for limit, holds in (("advisory", True), ("mandatory", urgent)):
            name = f"_{limit}_refresh_timeout"
            monkeypatch.setattr(RefreshableCredentials, name, 7200 if holds else 0)

    return make


def learns(helper: Helper, key: str, lasts: timedelta | None = None) -> None:
    """The chain's credentials are these now."""
    printing = threading.Thread(target=helper.prints, args=(key, lasts))
    printing.start()
    helper.chain.frozen()
    printing.join(30)


# --- one that hangs -------------------------------------------------------------------------


@pytest.mark.usefixtures("no_patience")
def test_who_waits_is_told_which_link_hangs_and_one_look_up_is_enough(helper: Helper) -> None:
    with pytest.raises(CredentialRetrievalError):
        helper.chain.frozen()
    helper.waits()
    for _ in range(5):
        for ask in (helper.chain.frozen, helper.chain.for_obstore):
            with pytest.raises(CredentialRetrievalError) as met:
                ask()
            answer = from_boto(met.value)
            assert answer.meaning is Meaning.NO_CREDENTIALS
            assert "from custom-process: no answer within 0 s" in answer.detail
        assert not helper.chain.look_again(0)
    assert len(helper.asking()) == 1
    helper.ends()
    helper.join()
    assert helper.runs == 1


@pytest.mark.usefixtures("no_patience")
def test_what_it_finds_later_is_taken(helper: Helper) -> None:
    with pytest.raises(CredentialRetrievalError):
        helper.chain.frozen()
    helper.prints("late1")
    helper.join()
    assert helper.key() == "late1"
    assert helper.chain.generation == 1
    assert helper.runs == 1


@pytest.mark.usefixtures("no_patience")
def test_after_it_has_failed_the_next_one_may_try(helper: Helper) -> None:
    for _ in range(2):
        with pytest.raises(CredentialRetrievalError):
            helper.chain.frozen()
        helper.ends()
        helper.join()
    assert helper.runs == 2


def test_all_wait_for_the_same_one(helper: Helper) -> None:
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(helper.key) for _ in range(8)]
        helper.prints("key1")
        assert {each.result(30) for each in waiting} == {"key1"}
    assert helper.runs == 1


def test_who_has_credentials_does_not_wait_for_those_that_are_looked_for_anew(
    helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    learns(helper, "old1")
    monkeypatch.setattr(look_ups, "DEADLINE_S", 0.0)
    assert not helper.chain.look_again(1)
    assert len(helper.asking()) == 1
    assert helper.key() == "old1"
    assert helper.chain.for_obstore()["access_key_id"] == "old1"
    helper.prints("new2")
    helper.join()
    assert helper.chain.look_again(1)
    assert helper.key() == "new2"
    assert helper.runs == 2


def test_nobody_waits_for_a_refresh_ahead_of_time(helper: Helper, ends_soon: Ends) -> None:
    learns(helper, "old1", timedelta(hours=1))
    ends_soon(urgent=False)
    assert helper.key() == "old1"
    assert len(helper.asking()) == 1
    assert helper.key() == "old1"
    helper.prints("new2", timedelta(hours=9))
    helper.join()
    assert helper.key() == "new2"
    assert (helper.chain.generation, helper.runs) == (2, 2)
    assert not helper.asking()


def test_a_refresh_ahead_of_time_that_fails_is_not_tried_without_end(
    helper: Helper, ends_soon: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    learns(helper, "old1", timedelta(hours=1))
    ends_soon(urgent=False)
    assert helper.key() == "old1"
    helper.ends()
    helper.join()
    monkeypatch.setattr(credentials, "LEAST_BETWEEN", timedelta(hours=1))
    assert helper.key() == "old1"
    assert not helper.asking()
    assert helper.runs == 2


def test_a_refresh_that_must_be_and_hangs_is_told(
    helper: Helper, ends_soon: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    learns(helper, "old1", timedelta(hours=1))
    ends_soon(urgent=True)
    monkeypatch.setattr(look_ups, "DEADLINE_S", 0.0)
    for _ in range(3):
        with pytest.raises(CredentialRetrievalError, match="custom-process: no answer"):
            helper.chain.frozen()
    assert len(helper.asking()) == 1
    helper.prints("new2", timedelta(hours=9))
    helper.join()
    assert helper.key() == "new2"
    assert helper.runs == 2


# --- one that fails -------------------------------------------------------------------------


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """Gives credentials to a container, and roles."""
    with closing(Canned(b"").start()) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield server


def failure(chain: Chain) -> str:
    with pytest.raises(CredentialRetrievalError) as met:
        chain.frozen()
    answer = from_boto(met.value)
    assert answer.meaning is Meaning.NO_CREDENTIALS
    return answer.detail


@pytest.mark.parametrize("body", [b"[]", b'{"AccessKeyId": "x"}', b'{"Expiration": 5}'])
def test_a_container_that_answers_nonsense(service: Canned, body: bytes) -> None:
    service.answer = reply(200, body)
    assert "from container-role: " in failure(Chain(CloudEnvironment()))


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"<html>"),
        reply(403, b"<Error/>"),
        reply(500),
        canned.Ends(b""),
        canned.Ends(b"SSH-2.0-x\r\n"),
    ],
    ids=["html", "refused", "failed", "nothing", "no HTTP"],
)
def test_a_service_of_roles_that_does_not_give_one(
    service: Canned, tmp_path: Path, answer: bytes
) -> None:
    config: dict[str, Any] = {"config_file": str(tmp_path / "config"), "profile": "role"}
    (tmp_path / "config").write_text(
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/team\nregion = us-east-1\n"
        "source_profile = usual\n"
        f"[profile usual]\naws_access_key_id = x\naws_secret_access_key = {SECRET}\n"
    )
    service.answer = answer
    assert "from assume-role" in failure(Chain(CloudEnvironment(**config)))
