"""Push and pull: how a changed file becomes a committed head, and how a head becomes files."""
