"""The layout document of a store: made by set-up only, read whenever a workspace is opened.

Keeps true: a folder or bucket that holds somebody else's data is never written to, not even by the
probe; two set-ups at once make one layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from swampd.domain.codec import Damaged, TooNew, decode_layout, encode_layout
from swampd.domain.layout import CONTROL, SCHEMA, Layout
from swampd.domain.outcomes import Applied, Found
from swampd.domain.values import DatastoreId, Wid
from swampd.errors import DamagedObject, NoLayout, NotADatastore, SchemaTooNew, StoreUnavailable
from swampd.stores.probe import require_kept

if TYPE_CHECKING:
    from swampd.domain.layout import Keys
    from swampd.ports import ObjectStore, Rng
    from swampd.stores.probe import ProbeReport

_READY: Final = "ready"


@dataclass(frozen=True, slots=True)
class Made:
    """What set-up found or made."""

    datastore_id: DatastoreId
    created: bool
    report: ProbeReport


async def read_layout(store: ObjectStore, keys: Keys) -> Layout | None:
    """The layout; None where there is none.

    Raises SchemaTooNew, DamagedObject, StoreUnavailable, StoreDenied.
    """
    found = await store.get(keys.layout)
    return _decode(found.body, store.name) if isinstance(found, Found) else None


async def require_layout(store: ObjectStore, keys: Keys) -> Layout:
    """The layout of a store that is to be served.

    Raises NoLayout for an empty store, NotADatastore for a populated one, and as `read_layout`.
    """
    layout = await read_layout(store, keys)
    if layout is not None:
        return layout
    await refuse_populated(store, keys)
    raise NoLayout(
        f"{store.name} has no swampd layout yet",
        "run `swampctl datastore setup`",
        store=store.name,
    )


async def refuse_populated(store: ObjectStore, keys: Keys) -> None:
    """Raise NotADatastore if a store without layout holds anything but scratch of a probe."""
    scratch = keys.probe(Wid(""))
    after: str | None = None
    while True:
        page = await store.list(keys.all, after)
        for row in page.rows:
            if not row.key.startswith(scratch):
                raise NotADatastore(
                    f"{store.name} is not a swampd datastore: it has no {CONTROL}/layout.json, and"
                    f" it is not empty ({row.key!r} is there)",
                    "name an empty place, or move what is there away",
                    store=store.name,
                    key=row.key,
                )
        after = page.after
        if after is None:
            return


async def set_up(first: ObjectStore, second: ObjectStore, keys: Keys, rng: Rng) -> Made:
    """Probe a store through two connections; create its layout, or join the one that is there.

    Raises StoreRefused, NotADatastore, StoreUnavailable, StoreDenied, SchemaTooNew.
    """
    known = await read_layout(first, keys)
    if known is None:
        await refuse_populated(first, keys)
    report = await require_kept(first, second, keys, rng)
    if known is not None:
        return Made(known.datastore_id, created=False, report=report)
    layout = Layout(SCHEMA, DatastoreId(rng.uuid()), _READY, Wid(rng.uuid()))
    outcome = await first.create(keys.layout, encode_layout(layout), {})
    found = await read_layout(first, keys)
    if found is None:
        raise StoreUnavailable(
            f"{first.name}: the layout was written and cannot be read back", "run it again"
        )
    mine = found.wid == layout.wid or isinstance(outcome, Applied)
    return Made(found.datastore_id, created=mine, report=report)


def _decode(body: bytes, store: str) -> Layout:
    layout = decode_layout(body)
    if isinstance(layout, TooNew):
        raise SchemaTooNew(
            f"the layout of {store} has schema {layout.schema}, this version knows {SCHEMA}",
            "upgrade swampd on this machine",
            store=store,
        )
    if isinstance(layout, Damaged):
        raise DamagedObject(
            f"the layout of {store} cannot be read: {layout.reason}",
            "restore it from a version or a backup of the store",
            store=store,
        )
    return layout
