"""A cache that is open serves one store, with one identity."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

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
from swampd.serving import Workspaces

CACHE = Path("/cache")
S3 = S3Settings("team-store", "p")
PROFILE = CloudEnvironment(profile="team")


def located(
    settings: StoreSettings, environment: CloudEnvironment = PROFILE, *, said_who: bool = True
) -> Located:
    config = RepoConfig(Path("/repo"), RepoId("r1"), DatastoreConfig(settings, Source.ENVIRONMENT))
    return Located(config, CACHE, environment, said_who)


def serving(open_one: Located) -> Workspaces:
    world: Any = None
    workspaces = Workspaces(world)
    served: Any = SimpleNamespace(located=open_one)
    workspaces._served[CACHE] = served
    return workspaces


def test_the_same_store_for_the_same_user_is_served() -> None:
    workspaces = serving(located(S3))
    assert workspaces.at(located(S3Settings("team-store", "p", region="r"))) is not None
    elsewhere = CloudEnvironment(
        profile="team", region="r", google_credentials="/g", holds_secrets=True, own_secrets=True
    )
    assert workspaces.at(located(S3, elsewhere)) is not None


@pytest.mark.parametrize(
    "other",
    [S3Settings("team-store"), S3Settings("team-store", "p", endpoint="http://127.0.0.1:9000")],
)
def test_another_prefix_or_server_is_another_store(other: S3Settings) -> None:
    with pytest.raises(WorkspaceClash, match="is open for s3:team-store/p, not for s3:"):
        serving(located(S3)).at(located(other))


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
        serving(located(S3)).at(located(S3, other))
    assert caught.value.fields == {"open": "AWS_PROFILE=team", "asked": name}
    assert caught.value.meaning.exit_code == EXIT_CONFIG


def test_a_client_that_does_not_say_who_it_is_uses_what_is_open() -> None:
    asked = located(S3, CloudEnvironment(), said_who=False)
    assert serving(located(S3)).at(asked) is not None


def test_a_folder_asks_nobody_who_he_is() -> None:
    folder = DirectorySettings(Path("/store"))
    assert serving(located(folder)).at(located(folder, CloudEnvironment())) is not None
