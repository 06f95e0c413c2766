"""A small S3 in memory that costs next to nothing per request.

It is what throughput is measured against, and what tests of liars are run against: one promise at a
time can be broken (`conditions.Promises`).  `python -m tests.servers.responder --port 0` prints its
URL.  Limits: path style; one process, one thread; signatures and checksums are not looked at; no
versions, no access control but by rule; ListObjects only in its second version.
"""

from __future__ import annotations

from tests.servers.responder.server import Responder, ResponderProcess

__all__ = ["Responder", "ResponderProcess"]
