"""Configuration: `.swamp.yaml` of a repo, where its datastore is, and the daemon's `config.toml`.

`repo` reads `.swamp.yaml`, `datastore` decides which store is meant and says who said so, `editing`
writes it back, `daemon` reads `config.toml`.
"""
