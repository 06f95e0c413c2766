"""How an error leaves the daemon: canonical status, and ErrorInfo with what a program needs.

Keeps true: whatever goes wrong in a handler, the client gets the code, the exit code and the hint
of `errors.py`; what is no error of that tree is a bug, logged with its trace and answered
`internal`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from swampd.errors import SwampdError
from swampd.operation import operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

DOMAIN: Final = "swampd"
DETAILS_KEY: Final = "grpc-status-details-bin"
_FIELD_LIMIT: Final = 1000
"""Trailing metadata is small: 8 KiB with everything."""
S = TypeVar("S")
Q = TypeVar("Q")
A = TypeVar("A")
log = structlog.get_logger()


def error_info(error: SwampdError) -> ErrorInfo:
    """Code, exit code, hint and fields as a program reads them."""
    fields = {name: value[:_FIELD_LIMIT] for name, value in error.fields.items()}
    return ErrorInfo(
        reason=error.code.upper(),
        domain=DOMAIN,
        metadata={
            **fields,
            "exit_code": str(error.meaning.exit_code),
            "hint": error.hint[:_FIELD_LIMIT],
        },
    )


def status_of(error: SwampdError) -> tuple[grpc.StatusCode, str, bytes]:
    """Canonical status, message, and the serialized google.rpc.Status."""
    code = grpc.StatusCode[error.meaning.status]
    detail = AnyMessage()
    detail.Pack(error_info(error))
    summary = error.summary[: 2 * _FIELD_LIMIT]
    status = Status(code=code.value[0], message=summary, details=[detail])
    return code, summary, status.SerializeToString()


async def refuse(context: grpc.aio.ServicerContext[Any, Any], error: SwampdError) -> None:
    """End the call with this error; raises."""
    code, summary, details = status_of(error)
    await context.abort(code, summary, ((DETAILS_KEY, details),))


def named(error: Exception) -> SwampdError:
    """The error as one of the tree; a bug is logged here."""
    if isinstance(error, SwampdError):
        log.info("request_refused", error=error.code, detail=error.summary)
        return error
    log.error("request_broke", exc_info=error)
    return SwampdError(f"the daemon broke: {error!r}", "see its log, and report this")


def answering(
    handler: Callable[[S, Q, grpc.aio.ServicerContext[Any, Any]], Awaitable[A]],
) -> Callable[[S, Q, grpc.aio.ServicerContext[Any, Any]], Awaitable[A]]:
    """Errors of a unary handler go out as `refuse` sends them."""

    @functools.wraps(handler)
    async def guarded(self: S, request: Q, context: grpc.aio.ServicerContext[Any, Any]) -> A:
        try:
            with operation(handler.__name__.lower()):
                return await handler(self, request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await refuse(context, named(error))
            raise

    return guarded


def streaming(
    handler: Callable[[S, Q, grpc.aio.ServicerContext[Any, Any]], AsyncIterator[A]],
) -> Callable[[S, Q, grpc.aio.ServicerContext[Any, Any]], AsyncIterator[A]]:
    """The same for a handler that streams its answers."""

    @functools.wraps(handler)
    async def guarded(
        self: S, request: Q, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[A]:
        try:
            with operation(handler.__name__.lower()):
                async for answer in handler(self, request, context):
                    yield answer
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a status
            await refuse(context, named(error))

    return guarded
