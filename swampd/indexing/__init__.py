"""Heads: reading, adopting, claiming and writing them (section 4)."""
