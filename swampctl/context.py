"""What every command works with: the environment, the repo that is meant, where to print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swampd import locations

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from swampctl.client import Client
    from swampctl.output import Output
    from swampd.v1 import common_pb2


@dataclass(frozen=True, slots=True)
class Context:
    """One run of one command."""

    args: Namespace
    environ: Mapping[str, str]
    cwd: Path
    output: Output

    def client(self) -> AbstractContextManager[Client]:
        """The daemon, started if none answers."""
        from swampctl.client import connected  # noqa: PLC0415 - loads grpc

        return connected(self.environ, self.output)

    def workspace(self) -> common_pb2.WorkspaceChoice:
        """The workspace that is meant.  Raises NoRepo."""
        from swampctl.client import choice  # noqa: PLC0415 - loads grpc

        repo = locations.find_repo(self.args.repo, self.environ, self.cwd)
        return choice(repo, self.environ, self.args.datastore, self.environment())

    def environment(self) -> common_pb2.CloudEnvironment:
        """Who we are to a cloud store."""
        from swampctl.cloud import environment  # noqa: PLC0415 - with the messages

        return environment(self.environ, self.cwd)

    def caller(self) -> common_pb2.Caller:
        """Who asks, with the token that is shown, if any."""
        from swampctl.owner import caller  # noqa: PLC0415 - with the messages

        return caller(self.environ, getattr(self.args, "token", None))

    def scopes(self) -> list[str]:
        """The scopes that were named; a path that lies in the cache may be relative to it only."""
        return list(self.args.scope)
