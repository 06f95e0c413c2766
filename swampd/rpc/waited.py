"""A request's wait for its workspace: a store that is away is waited for as long as for locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from swampd.domain.health import StoreState
from swampd.opening import locate
from swampd.rpc.convert import requests
from swampd.rpc.convert.words import duration
from swampd.rpc.progress import Working, with_progress
from swampd.v1 import sync_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from swampd.opening import Located
    from swampd.rpc.convert.requests import Waiting
    from swampd.serving import Served, Workspaces

LEAST_S: Final = 1.0
"""Who waits at all has so much left for the locks, once the store is there."""


class Waited:
    """The workspace of one request, and what is left of its patience then."""

    def __init__(
        self,
        workspaces: Workspaces,
        request: Waiting,
    ) -> None:
        self._workspaces = workspaces
        self._choice = requests.choice(request.workspace)
        self._wait_s = requests.wait_s(request)
        self._began = workspaces.world.clock.now()
        self._located: Located | None = None
        self._served: Served | None = None

    async def steps(self) -> AsyncIterator[sync_pb2.Progress]:
        """Progress until the workspace is open.  Raises what `Workspaces.serve` raises."""
        self._located = await locate(self._workspaces.world, self._choice)
        opening = self._workspaces.serve(self._located, self._wait_s)
        async for step in with_progress(opening, self._workspaces):
            if isinstance(step, Working):
                yield self.progress(step)
            else:
                self._served = step

    @property
    def served(self) -> Served:
        """The workspace; `steps` has ended."""
        if self._served is None:
            raise RuntimeError("the workspace is not open")
        return self._served

    @property
    def left_s(self) -> float:
        """How long the request still waits."""
        if self._wait_s <= 0:
            return 0.0
        spent = self._workspaces.world.clock.now() - self._began
        return max(self._wait_s - spent, min(LEAST_S, self._wait_s))

    def progress(self, step: Working) -> sync_pb2.Progress:
        """How long it takes already, and the store's trouble if it has one."""
        progress = sync_pb2.Progress(elapsed=duration(step.elapsed_s))
        if self._located is not None:
            health = self._workspaces.health(self._located)
            if health.state is not StoreState.OK:
                state = health.state.value.replace("_", " ")
                progress.trouble = f"{state}: {health.detail}"
        return progress
