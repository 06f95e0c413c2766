"""Where the objects are that machines share: one interface, so that a test runs on every store."""
