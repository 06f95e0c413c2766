"""The contract of `ports.ObjectStore`: the same assertions for every store."""
