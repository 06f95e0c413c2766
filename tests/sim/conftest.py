"""The engine's log is silent while a simulator's test runs, and as before after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

from tests.sim.hearing import silence

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    before = structlog.get_config()
    silence(for_good=False)
    yield
    structlog.configure(**before)
