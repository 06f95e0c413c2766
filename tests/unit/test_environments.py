"""Whose environment a store is opened with."""

from __future__ import annotations

import pytest

from swampd.domain.datastores import CloudEnvironment
from swampd.environments import completed, taken_from
from swampd.locations import STARTED_BY

OWN = {
    "AWS_PROFILE": "own",
    "AWS_REGION": "own-region",
    "AWS_CONFIG_FILE": "/own/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/own/credentials",
    "GOOGLE_APPLICATION_CREDENTIALS": "/own/google",
}
ALL_OWN = CloudEnvironment(
    "own", "own-region", "/own/config", "/own/credentials", "/own/google", own_secrets=True
)


@pytest.mark.parametrize("said", [None, CloudEnvironment()])
def test_what_the_daemon_was_given_counts_where_the_client_says_nothing(
    said: CloudEnvironment | None,
) -> None:
    assert completed(said, "", OWN) == ALL_OWN
    assert completed(said, "", {}) == CloudEnvironment(own_secrets=True)
    assert completed(said, "", {"AWS_PROFILE": "", "AWS_DEFAULT_PROFILE": "d"}).profile == "d"


def test_what_the_client_says_goes_before() -> None:
    said = CloudEnvironment("p", "r", "/c", "/s", "/g", holds_secrets=True)
    found = completed(said, "", OWN)
    assert found == CloudEnvironment(
        "p", "r", "/c", "/s", "/g", holds_secrets=True, own_secrets=True
    )


@pytest.mark.parametrize(
    "said",
    [
        CloudEnvironment(profile="p"),
        CloudEnvironment(config_file="/c"),
        CloudEnvironment(shared_credentials_file="/s"),
    ],
)
def test_a_profile_is_never_looked_up_in_files_of_another(said: CloudEnvironment) -> None:
    found = completed(said, "", OWN)
    assert (found.profile, found.config_file, found.shared_credentials_file) == (
        said.profile,
        said.config_file,
        said.shared_credentials_file,
    )
    assert found.region == "own-region"


@pytest.mark.parametrize(
    ("started_by", "session", "own_secrets"),
    [
        (None, "", True),
        (None, "session 1", True),
        ("session 1", "session 1", True),
        ("session 1", "session 2", False),
        ("session 1", "", False),
        ("", "", False),
        ("nobody", "", False),
    ],
)
def test_secrets_that_came_with_a_client_are_for_its_session(
    started_by: str | None, session: str, *, own_secrets: bool
) -> None:
    own = {} if started_by is None else {STARTED_BY: started_by}
    assert completed(None, session, own).own_secrets is own_secrets


def test_no_library_finds_by_itself_who_the_daemon_is() -> None:
    process = {**OWN, "AWS_DEFAULT_PROFILE": "d", "AWS_ACCESS_KEY_ID": "k", "HOME": "/h"}
    before = dict(process)
    assert taken_from(process) == before
    assert process == {"AWS_ACCESS_KEY_ID": "k", "HOME": "/h"}
    assert taken_from(process) == process
