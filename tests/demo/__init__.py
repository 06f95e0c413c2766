"""`make demo`: two machines, one datastore, nothing lost; printed so that a person can follow."""
