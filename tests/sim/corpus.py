"""Seeds that once broke an invariant: always run."""

from __future__ import annotations

CORPUS = (
    0,
    1,
    2,
    4,
    7,
    8,
    9,
    10,
    11,
    13,
    14,
    15,
    31,
    36,
    109,
    127,
    147,
    148,
    175,
    183,
    203,
    211,
    10009,
    10020,
    10028,
    10032,
    10034,
    10047,
    10073,
    10117,
    11308,
    70158,
    10049,
    303516,
)
"""What they found, in the order of the hunt: gates of the own owner freed, decisions on a content
that nobody was shown, conflict copies lost in a power cut, entries of a declared child pushed by
its parent, join mode that never met a tombstone, heads adopted out of order, a private area that
vanished under a pull, a marker written over in an emptied cache, a commit of the life before found
after the cache was replaced; dead holders below a gate waited out one after the other, a lingering
lease that was kept while its owner waited for a gate, a lease of the life before released without
a word of its requests, an answer `missing` taken for a head that is gone, though it was older than
the head, a declared scope that nobody gave a head, a plan that outlived the cache
that it was made in."""

AIMED = {
    "breakers": (40012,),
    "own_paths": (10018, 30018, 30037, 50037),
    "resends": (10008,),
    "outages": (10016, 30013, 30031, 30039, 30055, 60009, 60021),
    "restarts": (41, 51, 104),
    "misfortunes": (10009, 10021),
    "paced": (60005,),
    "deaths": (30002, 30011, 30039, 30066),
    "crowd": (269264127,),
    "large": (20006, 20007, 20012),
    "foreign": (20014,),
    "bad_disk": (10009, 20001, 20002, 20003, 20005, 20007, 20017, 60031),
}
"""The same of the workloads that aim: a commit of a parent whose paths were declared as a child's
before its answer came, a file that was placed just before a crash and taken for the user's; sealed
copies that nobody removed; a disk in trouble that was taken for a bug, a path
that joined for ever, once more where its scope has no head, a conflict that was shown and could not
be decided, a file that a decision on a full disk left in `tmp/`, an edit that a decision threw away
unseen, turns to write that were all over after a pause; a declare that landed late; a second crash
that forgot which scopes are not to be given away; a trouble that was shown after another machine
had ended it; a scope that was declared in doubt."""
