"""Set-up of a store that falls silent ends with an error that says so."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from swampd import settingup
from swampd.chance import SystemRng
from swampd.domain.datastores import S3Settings
from swampd.errors import StoreUnavailable
from swampd.locations import REPO_FILE
from swampd.opening import STORE_S, Choice
from tests.sim.loop import VirtualLoop

if TYPE_CHECKING:
    from pathlib import Path


class Here:
    """Threads that are none."""

    async def io(self, work: Any) -> Any:
        return work()


class Silent:
    """A store that answers nothing."""

    name = "s3 bucket"
    closed = 0

    async def get(self, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    async def close(self) -> None:
        Silent.closed += 1


def test_a_store_that_is_silent_is_told_in_time_and_no_repo_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settingup, "open_store", lambda *_: Silent())
    world = SimpleNamespace(threads=Here(), store_threads=Here(), rng=SystemRng(), environ={})
    workspaces: Any = SimpleNamespace(world=world)

    async def run() -> float:
        with pytest.raises(StoreUnavailable, match="did not show within 45 s") as raised:
            await settingup.set_up_repo(
                workspaces, Choice(str(tmp_path)), S3Settings(bucket="bucket", region="eu-west-1")
            )
        assert "run this again" in raised.value.hint
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(run()) == STORE_S
    assert Silent.closed == 2
    assert not (tmp_path / REPO_FILE).exists()
