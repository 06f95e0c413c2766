"""Leases: holding a scope on the store, and sharing it among local clients (section 3)."""
