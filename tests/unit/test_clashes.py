"""A cache that is open serves one store, with one identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from swampd.clashes import means_another, refuse_clash
from swampd.config.datastore import DatastoreConfig, Source
from swampd.config.repo import RepoConfig, RepoId
from swampd.domain.datastores import (
    CloudEnvironment,
    DirectorySettings,
    S3Settings,
    StoreSettings,
)
from swampd.errors import EXIT_CONFIG, WorkspaceClash
from swampd.opening import Located

CACHE = Path("/cache")
S3 = S3Settings("team-store", "p")
PROFILE = CloudEnvironment(profile="team")


def located(
    settings: StoreSettings, environment: CloudEnvironment = PROFILE, *, said_who: bool = True
) -> Located:
    config = RepoConfig(Path("/repo"), RepoId("r1"), DatastoreConfig(settings, Source.ENVIRONMENT))
    return Located(config, CACHE, environment, said_who)


def test_the_same_store_for_the_same_user_is_served() -> None:
    refuse_clash(located(S3), located(S3Settings("team-store", "p", region="r")))
    elsewhere = CloudEnvironment(
        profile="team", region="r", google_credentials="/g", holds_secrets=True, own_secrets=True
    )
    refuse_clash(located(S3), located(S3, elsewhere))


@pytest.mark.parametrize(
    "other",
    [S3Settings("team-store"), S3Settings("team-store", "p", endpoint="http://127.0.0.1:9000")],
)
def test_another_prefix_or_server_is_another_store(other: S3Settings) -> None:
    with pytest.raises(WorkspaceClash, match="is open for s3:team-store/p, not for s3:"):
        refuse_clash(located(S3), located(other))


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (CloudEnvironment(profile="mine"), "AWS_PROFILE=mine"),
        (CloudEnvironment(), "no AWS_PROFILE"),
        (CloudEnvironment(profile="team", config_file="/c"), "AWS_PROFILE=team AWS_CONFIG_FILE=/c"),
    ],
)
def test_another_profile_is_refused_naming_both(other: CloudEnvironment, name: str) -> None:
    with pytest.raises(WorkspaceClash, match="open with AWS_PROFILE=team, not with") as caught:
        refuse_clash(located(S3), located(S3, other))
    assert caught.value.fields == {"open": "AWS_PROFILE=team", "asked": name}
    assert caught.value.meaning.exit_code == EXIT_CONFIG


def test_a_client_that_does_not_say_who_it_is_uses_what_is_open() -> None:
    asked = located(S3, CloudEnvironment(), said_who=False)
    refuse_clash(located(S3), asked)
    assert not means_another(located(S3), asked)


def test_a_folder_asks_nobody_who_he_is() -> None:
    folder = DirectorySettings(Path("/store"))
    refuse_clash(located(folder), located(folder, CloudEnvironment()))
    assert not means_another(located(folder), located(folder, CloudEnvironment(region="r")))


# --- what is not open yet ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment",
    [
        CloudEnvironment(profile="mine"),
        CloudEnvironment(profile="team", region="r"),
        CloudEnvironment(profile="team", own_secrets=True),
    ],
)
def test_who_asks_with_other_credentials_has_it_tried_anew(environment: CloudEnvironment) -> None:
    assert means_another(located(S3), located(S3, environment))
    assert means_another(located(S3), located(S3Settings("other-store")))


def test_who_may_use_less_does_not_break_off_what_is_tried() -> None:
    more = CloudEnvironment(profile="team", own_secrets=True)
    less = CloudEnvironment(profile="team", holds_secrets=True)
    assert not means_another(located(S3, more), located(S3, less))
