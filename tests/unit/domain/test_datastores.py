"""Settings of stores, and whose environment is meant."""

from __future__ import annotations

from pathlib import Path

from swampd.domain.datastores import (
    CloudEnvironment,
    DirectorySettings,
    S3Settings,
    hint_for,
    identity,
    keys_of,
)
from swampd.domain.layout import Keys

S3 = S3Settings("team-store")


def test_the_prefix_is_part_of_every_key() -> None:
    assert keys_of(S3Settings("b", "/odd/")) == Keys("/odd/")
    assert keys_of(S3Settings("b")) == keys_of(DirectorySettings(Path("/x"))) == Keys()


def test_who_a_client_is_to_a_bucket() -> None:
    assert identity(S3, CloudEnvironment()) == "no AWS_PROFILE"
    assert identity(S3, CloudEnvironment(region="r", google_credentials="/g")) == "no AWS_PROFILE"
    assert identity(
        S3, CloudEnvironment(profile="p", config_file="/c", shared_credentials_file="/s")
    ) == ("AWS_PROFILE=p AWS_CONFIG_FILE=/c AWS_SHARED_CREDENTIALS_FILE=/s")


def test_a_folder_asks_nobody_who_he_is() -> None:
    assert identity(DirectorySettings(Path("/x")), CloudEnvironment(profile="p")) == ""


def test_what_to_do_without_credentials() -> None:
    held_back = hint_for(CloudEnvironment(profile="p", holds_secrets=True))
    assert "never sent" in held_back
    assert "AWS_PROFILE" in held_back
    assert "`swampctl daemon stop`, then `swampctl daemon start`" in held_back
    used = CloudEnvironment(profile="p", holds_secrets=True, own_secrets=True)
    assert "profile 'p'" in hint_for(used)
    assert "set AWS_PROFILE" in hint_for(CloudEnvironment())
