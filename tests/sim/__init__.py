"""The deterministic simulator: seeded worlds in which the real engine runs."""
