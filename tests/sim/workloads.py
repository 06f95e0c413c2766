"""What users do and what goes wrong, and how often: the normal mixture, and those that aim.

A workload that aims at one fault makes its occasion frequent, so that few seeds show it; the sound
engine passes every seed of every workload.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from swampd.domain import heads, limits
from swampd.domain.sizes import SIZES, Sizes
from tests.sim.store import Faults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

PATHS: Final = (
    "data/x/1/raw",
    "data/x/1/meta",
    "data/x/2/raw",
    "data/x/latest",
    "data/y/raw",
    "data/top",
    "out/log",
    "out/deep/er",
    "root.txt",
)
MANY: Final = tuple(f"out/n{number:02}" for number in range(60))
"""So many that there is always one that nobody has made yet."""
SCOPES: Final = ("data", "data/x", "data/y", "out", ".", "*")
SEVEN: Final = 7
NO_INLINE: Final = Sizes(inline=0)
TTLS_MS: Final = (3000, 10000, 30000)


def _acts(**chances: float) -> Mapping[str, float]:
    return chances


@dataclass(frozen=True, slots=True)
class Workload:
    """Chances, pauses in virtual seconds, and the scopes and paths in play."""

    name: str = "normal"
    acts: Mapping[str, float] = field(
        default_factory=lambda: _acts(
            push=0.30, pull=0.20, lock=0.30, break_lock=0.06, resolve=0.09, settle=0.05
        )
    )
    """What a person does at the command line."""
    troubles: Mapping[str, float] = field(
        default_factory=lambda: _acts(crash=0.45, pause=0.30, backup=0.15, replace=0.10)
    )
    trouble_every_s: float = 25.0
    power: float = 0.3
    """This part of the crashes takes the machine along (another boot)."""
    down_s: tuple[float, ...] = (0.1, 1.0, 40.0)
    faults: Faults | None = None
    """Instead of the seed's own."""
    pushed: tuple[str, ...] = SCOPES[:5]
    """What is pushed and pulled, besides everything."""
    scopes: tuple[str, ...] = SCOPES
    """What is locked and broken."""
    ttls_ms: tuple[int, ...] = TTLS_MS
    several: float = 0.25
    """So often two are locked at once."""
    holds_s: float = 4.0
    """A holder edits after at most so long, up to three times."""
    break_to_have: bool = False
    """Who breaks a lock wants it at once."""
    act_every_s: float = 4.0
    reverts: float = 0.2
    """So often what is written is what was there at some time before."""
    interleave: float = 0.004
    """A user edits between two steps of the daemon."""
    interleave_aimed: float = 0.1
    """The same just before a rename, at the very path that is renamed."""
    die_in_batch: float = 0.02
    """The daemon dies just before a rename in the cache, the rest of its batch undone."""
    die_at_head: float = 0.0
    """The daemon dies just before it sends a head, more often when it has sent one that lands late,
    and its user thinks better of what was new."""
    full_in_batch: float = 0.0
    """The disk is full from just before a rename in the cache, for some seconds."""
    new_every_s: float = 0.0
    """So often all begin to write to the next of the paths (0: to all of them, all the time)."""
    own_paths: bool = False
    """Each path is edited at one machine only."""
    paths: tuple[str, ...] = PATHS
    conditional_delete: float = 0.8
    write_interval_s: float = 0.0
    """The store's least time between two writes of one key; it is one with generations then."""
    large: frozenset[int] = frozenset()
    """In which of seven seeds files count as large: in parts, through sealed copies."""
    foreign_every_s: float = 0.0
    """So often somebody who knows nothing of swampd writes or deletes a plain key (0: never)."""
    nodes: tuple[int, ...] = (2, 2, 2, 3)
    """How many machines there are, one of these."""
    busy_s: float = 150.0
    misfortunes: Mapping[str, float] = field(default_factory=dict)
    """What befalls the store and the disks (see `misfortunes.py`)."""
    misfortune_every_s: float = 10.0
    sizes: Sizes = SIZES
    """From how many bytes on a content goes another way, where files do not count as large."""
    limits: tuple[tuple[ModuleType, str, int], ...] = ()
    """Limits of the engine that are lower here, so that a few small files reach them."""

    def is_large(self, seed: int) -> bool:
        """Do files count as large in this seed?"""
        return seed % SEVEN in self.large


A_SEVENTH: Final = frozenset({5})
"""No seed of the corpus is among these: it would show something else than it was kept for."""
NORMAL: Final = Workload(large=A_SEVENTH)
SOUND: Final = Faults()
CALM: Final = {"backup": 1.0}
BREAKERS: Final = Workload(
    name="breakers",
    acts={"lock": 0.55, "break_lock": 0.35, "push": 0.10},
    troubles=CALM,
    faults=SOUND,
    scopes=("data/x", "out", "."),
    ttls_ms=(30000,),
    holds_s=8.0,
    break_to_have=True,
    busy_s=90.0,
)
"""People break the locks of live holders, to have them at once."""
OWN_PATHS: Final = Workload(
    name="own_paths",
    acts={"push": 0.65, "pull": 0.25, "lock": 0.10},
    troubles={"crash": 0.7, "pause": 0.3},
    power=0.0,
    faults=Faults(lost_reply=0.2, late=0.1, slow=0.2, late_s=8.0),
    trouble_every_s=40.0,
    down_s=(0.1, 1.0),
    own_paths=True,
    interleave=0.0,
    interleave_aimed=0.0,
    act_every_s=2.0,
)
"""Each path is written at one machine, many answers are lost, requests land a little late."""
OUTAGES: Final = Workload(
    name="outages",
    acts={"push": 0.8, "pull": 0.2},
    troubles={"crash": 0.5, "pause": 0.5},
    trouble_every_s=40.0,
    power=0.0,
    down_s=(0.1, 1.0),
    faults=Faults(cut_at_head=0.25, late_s=60.0),
    own_paths=True,
    interleave=0.0,
    interleave_aimed=0.0,
    act_every_s=2.0,
)
"""Each path is written at one machine, and machines are cut off while they commit."""
RESENDS: Final = Workload(
    name="resends",
    acts={"push": 0.9, "pull": 0.1},
    troubles={"crash": 1.0},
    trouble_every_s=12.0,
    power=0.0,
    down_s=(0.1,),
    faults=Faults(late=0.2, slow=0.4, late_s=10.0),
    own_paths=True,
    paths=("out/log", "out/deep/er", "root.txt"),
    interleave=0.0,
    interleave_aimed=0.0,
    act_every_s=1.0,
)
"""Requests overtake each other, and the daemon dies in the middle of finding out."""
LATE: Final = Workload(
    name="late",
    acts={"push": 0.60, "settle": 0.30, "pull": 0.10},
    faults=Faults(late=0.15, late_s=120.0, lost_reply=0.05),
    troubles={"crash": 0.5, "pause": 0.5},
    conditional_delete=0.3,
    act_every_s=2.0,
)
"""Requests on plain keys land late, while others settle."""
LATE_DELETES: Final = Workload(
    name="late_deletes",
    acts={"push": 0.6, "settle": 0.4},
    faults=Faults(late=0.25),
    troubles=CALM,
    conditional_delete=0.0,
    paths=("out/log", "out/deep/er", "root.txt", "data/top"),
    act_every_s=2.0,
    busy_s=200.0,
)
"""Deletes without a condition land up to a quarter of an hour late."""
REVERTS: Final = replace(
    OUTAGES,
    name="reverts",
    paths=("out/log", "out/deep/er", "root.txt", "data/top"),
    reverts=0.7,
)
"""Machines are cut off while they commit, and their users go back to what was there before."""
PAUSES: Final = replace(
    OWN_PATHS,
    name="pauses",
    troubles={"pause": 1.0},
    acts={"push": 1.0},
    trouble_every_s=40.0,
    faults=Faults(slow=0.35, cut_at_head=0.25, late_s=60.0, sleep_at_head=0.2),
    sizes=NO_INLINE,
    pushed=("out",),
    paths=("out/log", "out/deep/er", "out/n01"),
    act_every_s=1.0,
    busy_s=300.0,
)
"""Machines sleep before they have read what became of a head, or are cut off; the others go on."""
CONTESTED: Final = replace(
    OWN_PATHS,
    name="contested",
    acts={"push": 1.0},
    troubles=CALM,
    faults=Faults(cut_at_head=0.25, cut_s=(60.0, 90.0), late_s=90.0, lurks=True),
    pushed=("out",),
    paths=("out/log", "out/deep/er", "out/n01"),
    act_every_s=1.0,
    busy_s=250.0,
)
"""Commits of machines that are cut off land when the next one has read the head."""
LOSSY: Final = Workload(
    name="lossy",
    acts={"push": 0.7, "pull": 0.3},
    troubles=CALM,
    faults=Faults(late=0.7),
    paths=MANY,
    sizes=NO_INLINE,
    act_every_s=2.0,
)
"""Most writes are sent more than once, and no content travels in a head."""
AWAY: Final = Workload(
    name="away",
    acts={"push": 0.8, "pull": 0.2},
    troubles={"outage": 1.0},
    trouble_every_s=6.0,
    faults=Faults(slow=0.4),
    paths=MANY,
    act_every_s=2.0,
)
"""The store is away in the middle of pushes."""
POWER_CUTS: Final = Workload(
    name="power_cuts",
    acts={"lock": 0.7, "push": 0.3},
    troubles={"crash": 1.0},
    power=1.0,
    down_s=(0.1, 1.0),
    trouble_every_s=8.0,
    ttls_ms=(30000,),
    holds_s=10.0,
)
"""Machines boot again while their users hold locks."""
DEATHS: Final = Workload(
    name="deaths",
    acts={"push": 0.4, "pull": 0.6},
    troubles=CALM,
    faults=SOUND,
    power=0.0,
    own_paths=True,
    interleave_aimed=0.4,
    die_in_batch=0.15,
    act_every_s=2.0,
)
"""Users write into files that are just being replaced, and the daemon dies between two renames."""

PACED: Final = Workload(name="paced", write_interval_s=1.0)
"""The store takes one write a second of each key."""
LARGE: Final = Workload(
    name="large",
    acts={"push": 0.5, "pull": 0.2, "lock": 0.15, "settle": 0.1, "resolve": 0.05},
    large=frozenset(range(SEVEN)),
)
"""Files count as large: uploads in parts, copies on the server, downloads through files."""
CROWD: Final = Workload(name="crowd", nodes=(2, 3, 4, 5), large=A_SEVENTH)
"""Up to five machines."""
FOREIGN: Final = Workload(
    name="foreign",
    acts={"push": 0.45, "pull": 0.25, "lock": 0.1, "settle": 0.12, "resolve": 0.08},
    troubles={"crash": 0.6, "pause": 0.4},
    foreign_every_s=8.0,
    large=A_SEVENTH,
)
"""Somebody writes and deletes plain keys without swampd."""
BAD_DISK: Final = Workload(
    name="bad_disk",
    acts={"push": 0.45, "pull": 0.35, "lock": 0.1, "settle": 0.03, "resolve": 0.07},
    troubles={
        "crash": 0.2,
        "pause": 0.05,
        "full": 0.2,
        "unreadable": 0.25,
        "away": 0.15,
        "displaced": 0.1,
        "backup": 0.03,
        "replace": 0.02,
    },
    trouble_every_s=8.0,
    interleave_aimed=0.3,
    full_in_batch=0.1,
    large=A_SEVENTH,
)
"""Disks are full, directories unreadable, roots away or replaced, for a while."""
GATES: Final = Workload(
    name="gates",
    acts={"lock": 0.8, "push": 0.2},
    troubles=CALM,
    faults=SOUND,
    scopes=("data", "data/x", "data/y", "*"),
    ttls_ms=(3000,),
    holds_s=1.5,
    act_every_s=1.5,
    busy_s=120.0,
)
"""Gates and what is below them, held for a moment by many."""
GATE_BREAKERS: Final = replace(
    BREAKERS,
    name="gate_breakers",
    scopes=("data", "data/x", "data/y", "*"),
    holds_s=12.0,
    act_every_s=2.0,
)
"""People break gates."""
SLOW: Final = Workload(
    name="slow",
    acts={"lock": 0.9, "push": 0.1},
    troubles=CALM,
    faults=Faults(slow=0.12, late=0.15, late_s=2.0),
    scopes=("data/x", "out", "."),
    ttls_ms=(10000,),
    holds_s=8.0,
    act_every_s=1.0,
    busy_s=150.0,
)
"""Answers are slow, renewals are sent twice, and locks are given back meanwhile."""
RESTARTS: Final = Workload(
    name="restarts",
    acts={"lock": 0.7, "break_lock": 0.15, "push": 0.15},
    troubles={"crash": 1.0},
    power=0.0,
    down_s=(0.1, 1.0),
    trouble_every_s=6.0,
    faults=SOUND,
    scopes=("data/x", "out", "."),
    ttls_ms=(30000,),
    holds_s=10.0,
    several=0.8,
    busy_s=100.0,
)
"""Daemons die while their users hold several locks, some of which others break."""
ORPHANS: Final = Workload(
    name="orphans",
    acts={"push": 0.9, "settle": 0.1},
    troubles={"crash": 1.0},
    power=0.0,
    down_s=(0.1, 1.0),
    trouble_every_s=10.0,
    faults=Faults(cut_at_head=0.3, cut_s=(2.0, 6.0), late_s=200.0, slow=0.1, lurks=True),
    paths=MANY,
    new_every_s=4.0,
    act_every_s=1.5,
    busy_s=250.0,
)
"""Daemons die while they commit what they have sent, and the others make the same paths."""
JOINS: Final = Workload(
    name="joins",
    acts={"push": 0.4, "pull": 0.6},
    troubles={"backup": 0.3, "lost": 0.7},
    power=0.0,
    down_s=(0.1, 1.0),
    trouble_every_s=4.0,
    faults=Faults(cut_at_head=0.5, cut_s=(0.5, 4.0), late_s=200.0),
    act_every_s=5.0,
    busy_s=300.0,
)
"""Daemons die while commits are under way, and their caches are emptied or put back."""
RESTORES: Final = replace(
    JOINS,
    name="restores",
    acts={"push": 0.7, "pull": 0.3},
    troubles={"backup": 0.5, "replace": 0.5},
    faults=SOUND,
    act_every_s=2.0,
    busy_s=150.0,
)
"""Caches are emptied or put back all the time."""
MISFORTUNES: Final = Workload(
    name="misfortunes",
    troubles={"crash": 0.5, "pause": 0.5},
    power=0.0,
    faults=SOUND,
    misfortunes={
        "head_back": 0.3,
        "head_gone": 0.1,
        "head_damaged": 0.1,
        "head_of_another": 0.1,
        "denied": 0.15,
    },
    act_every_s=2.0,
    limits=((limits, "LEAST_DELETES", 2),),
)
"""Heads go back, rights are missing; two deletes are many."""
FULL_DELTAS: Final = Workload(
    name="full_deltas",
    limits=(
        (heads, "DELTA_LIMIT", 200),
        (heads, "RECENT", 2),
    ),
    sizes=replace(NO_INLINE, stream_above=1000),
    acts={"push": 0.75, "lock": 0.25},
    troubles=CALM,
    faults=Faults(lost_reply=0.02, slow=0.02, cut_at_head=0.06, cut_s=(60.0, 100.0), late_s=40.0),
    pushed=("data", "data", "data", "out", "data/x"),
    act_every_s=1.5,
    busy_s=250.0,
)
"""A few files overflow a delta, heads remember two commits, small files count as large,
and no content travels in a head."""
STANDSTILLS: Final = Workload(
    name="standstills",
    acts={"lock": 0.7, "push": 0.2, "pull": 0.1},
    troubles={"pause": 1.0},
    trouble_every_s=8.0,
    large=A_SEVENTH,
)
"""Machines stand still, again and again, while they hold locks that others want."""

COMPACTS: Final = Workload(
    name="compacts",
    acts={"push": 0.45, "pull": 0.1, "lock": 0.1, "compact": 0.2, "settle": 0.15},
    troubles={"crash": 0.85, "pause": 0.15},
    die_at_head=0.2,
    power=0.1,
    down_s=(0.1, 1.0, 10.0),
    trouble_every_s=10.0,
    faults=Faults(
        lost_reply=0.02, late=0.05, cut_at_head=0.15, cut_s=(2.0, 20.0), late_s=300.0, lurks=True
    ),
    sizes=Sizes(inline=20),
    limits=((heads, "DELTA_LIMIT", 600),),
    paths=(*PATHS, *MANY),
    new_every_s=3.0,
    act_every_s=2.0,
    busy_s=200.0,
)
"""People sweep the store while others push, die, and commit late."""

LOADS: Final = (
    NORMAL,
    BREAKERS,
    OWN_PATHS,
    OUTAGES,
    RESENDS,
    REVERTS,
    LATE,
    LATE_DELETES,
    PAUSES,
    CONTESTED,
    LOSSY,
    AWAY,
    POWER_CUTS,
    DEATHS,
    PACED,
    LARGE,
    CROWD,
    FOREIGN,
    BAD_DISK,
    GATES,
    GATE_BREAKERS,
    SLOW,
    RESTARTS,
    ORPHANS,
    JOINS,
    RESTORES,
    MISFORTUNES,
    FULL_DELTAS,
    STANDSTILLS,
    COMPACTS,
)
