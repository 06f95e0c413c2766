"""Hypothesis for pure functions: no deadline, since a machine that is busy is no bug."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("domain", deadline=None)
settings.load_profile("domain")
