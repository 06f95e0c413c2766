"""The log is JSON, and holds no secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import structlog

from swampd.logs import REDACTED, logging_to, redact, set_level

if TYPE_CHECKING:
    from pathlib import Path


def test_secrets_are_redacted_however_deep() -> None:
    event = {
        "event": "x",
        "token": "t",
        "nested": [{"aws_secret_access_key": "s", "path": "p"}],
        "AuthorizationHeader": "a",
    }
    assert redact(None, "", event) == {
        "event": "x",
        "token": REDACTED,
        "nested": [{"aws_secret_access_key": REDACTED, "path": "p"}],
        "AuthorizationHeader": REDACTED,
    }


def test_events_are_lines_of_json_from_a_level_on(tmp_path: Path) -> None:
    log = structlog.get_logger()
    with logging_to(tmp_path / "logs"):
        log.debug("too_quiet")
        log.info("seen", scope="data", token="secret")  # noqa: S106
        assert set_level("warning") == "info"
        log.info("too_quiet_now")
        log.warning("loud")
    lines = (tmp_path / "logs" / "swampd.log").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["seen", "loud"]
    assert (events[0]["scope"], events[0]["token"]) == ("data", REDACTED)
