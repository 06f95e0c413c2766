"""Crash points, enumerated: a scripted operation is stopped at each thing it asks of a port.

A scenario runs once without a crash, and every operation on the ports of its daemon is noted by
name, with what a daemon that ends before or after it would leave: in the cache, the journal and the
store, and of that what a power cut would take back.  Then it runs again for each end that leaves
something else than the one before (`points.Left`); the daemon is started again, both machines go
on, and every checker of `tests/sim/checks/` has its say.

A point is `scenario:port.operation:what#occurrence:when:how`, and `python -m tests.sim
--crash-point POINT` replays it.  The names of objects in the store and in the private area are made
of chance; a name has `WID` for each, so that it means the same in every run.

Limits: reads of the journal are no points, nothing of them outlives the process; each point is one
crash in otherwise quiet times (two in the scenarios that begin with one).
"""
