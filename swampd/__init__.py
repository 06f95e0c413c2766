"""A per-user daemon that keeps a swamp repository in step with its datastore."""

__version__ = "0.1.0"
