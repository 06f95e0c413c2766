"""`make demo`: two machines, one datastore, step by step."""
