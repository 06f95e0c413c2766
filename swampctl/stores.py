"""How a store is, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.timestamp_pb2 import Timestamp

    from swampd.v1 import status_pb2

_OK = "ok"


def store_lines(store: status_pb2.StoreStatus) -> Iterator[str]:
    """As whom it is spoken to where that is known, and its trouble if it has one."""
    if store.credentials or store.identity:
        whose = ": ".join(part for part in (store.credentials, store.identity) if part)
        yield f"identity   {whose}"
    if store.state in {"", _OK}:
        return
    since = f" since {clock_time(store.since)}" if store.HasField("since") else ""
    detail = f" ({store.detail})" if store.detail else ""
    on = "goes on by itself" if store.goes_on else "goes on once that is put right"
    again = f", asked again at {clock_time(store.next_try)}" if store.HasField("next_try") else ""
    yield f"store      {store.state.replace('_', ' ')}{since}{detail}; {on}{again}"
    if store.hint:
        yield f"           {store.hint}"


def clock_time(at: Timestamp) -> str:
    """Local time of day; with the date in front when that is not today's."""
    when = at.ToDatetime(UTC).astimezone()
    today = datetime.now(UTC).astimezone().date()
    return when.strftime("%H:%M:%S" if when.date() == today else "%Y-%m-%d %H:%M:%S")
