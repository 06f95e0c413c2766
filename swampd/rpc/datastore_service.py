"""`DatastoreService`: setting up a store, and what it is like."""
# ruff: noqa: N802 - the names are those of the .proto

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from swampd import upkeep
from swampd.layouts import require_layout
from swampd.opening import locate, shown_in_time
from swampd.rpc.asking import asker_of
from swampd.rpc.convert import requests
from swampd.rpc.convert.status import compact_result, verdicts
from swampd.rpc.faults import answering, streaming
from swampd.rpc.progress import Working, with_progress
from swampd.rpc.waited import Waited
from swampd.settingup import set_up_repo
from swampd.stores.probe import probe
from swampd.stores.registry import open_store
from swampd.v1 import datastore_pb2, datastore_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from swampd.answers import Answers
    from swampd.serving import Workspaces


class DatastoreServicer(datastore_pb2_grpc.DatastoreServiceServicer):
    """The store behind a repo."""

    def __init__(self, workspaces: Workspaces, answers: Answers) -> None:
        self._workspaces = workspaces
        self._answers = answers

    @answering
    async def Setup(
        self,
        request: datastore_pb2.SetupRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> datastore_pb2.SetupResponse:
        """Probe, create or join the layout, write `.swamp.yaml`."""

        async def work() -> bytes:
            return (await self._set_up(request)).SerializeToString()

        answer = await self._answers.once("Setup", request.request_id, work)
        return datastore_pb2.SetupResponse.FromString(answer)

    async def _set_up(self, request: datastore_pb2.SetupRequest) -> datastore_pb2.SetupResponse:
        done = await set_up_repo(
            self._workspaces, requests.set_up_choice(request), requests.named_store(request)
        )
        return datastore_pb2.SetupResponse(
            repo_id=done.located.config.repo_id,
            datastore_id=done.made.datastore_id,
            datastore=str(done.located.config.datastore),
            created=done.made.created,
            verdicts=verdicts(done.made.report),
            cache=str(done.located.cache),
        )

    @answering
    async def Status(
        self,
        request: datastore_pb2.StatusRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> datastore_pb2.StatusResponse:
        """What the store is, and the verdict of a probe made now."""
        world = self._workspaces.world
        located = await locate(world, requests.choice(request.workspace))
        chosen, environment = located.config.datastore, located.environment
        async with AsyncExitStack() as stack:
            stores = []
            for _ in range(2):
                store = open_store(chosen.settings, environment, world.store_threads)
                stack.push_async_callback(store.close)
                stores.append(store)
            async with shown_in_time(stores[0].name, "run this again"):
                layout = await require_layout(stores[0], chosen.keys)
                report = await probe(stores[0], stores[1], chosen.keys, world.rng)
            capabilities = stores[0].capabilities
        return datastore_pb2.StatusResponse(
            datastore=str(chosen),
            named_by=chosen.source.value,
            datastore_id=layout.datastore_id,
            verdicts=verdicts(report),
            refused=report.refused or "",
            conditional_delete=capabilities.conditional_delete,
            server_copy=capabilities.server_copy,
        )

    @streaming
    async def Compact(
        self,
        request: datastore_pb2.CompactRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[datastore_pb2.CompactResponse]:
        """Progress, then what was deleted."""
        opening = Waited(self._workspaces, request)
        async for waiting in opening.steps():
            yield datastore_pb2.CompactResponse(progress=waiting)
        served = opening.served
        asker = asker_of(self._workspaces, served, request.caller, opening.left_s)

        async def work() -> bytes:
            done = await upkeep.compact(served.workspace, asker, dry_run=request.dry_run)
            return compact_result(done, dry_run=request.dry_run).SerializeToString()

        once = self._answers.once("Compact", request.request_id, work)
        async for step in with_progress(once, self._workspaces):
            if isinstance(step, Working):
                yield datastore_pb2.CompactResponse(progress=opening.progress(step))
            else:
                result = datastore_pb2.CompactResult.FromString(step)
                yield datastore_pb2.CompactResponse(result=result)
