"""The journal: what the daemon remembers of one workspace, in one SQLite file (S6).

`database` is the async face (`ports.Journal`), `connection` the synchronous core, `opening` makes,
checks, migrates and quarantines the file, `migrations` holds the SQL of the tables.
"""
