"""The real workspace in one process: directory store, local tree, SQLite, real threads and time."""
