"""Stores: one module for each backend, the probe that every store must pass, and the registry."""
