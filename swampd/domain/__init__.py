"""What must hold, as values and functions: no I/O, no clock, no randomness.

Everything here is decided from its arguments, so every rule can be tested by a table and explored
by the simulator.  The words are those of docs/protocols (scope, head, lease, token, base).
"""
