"""The real daemon and the real swampctl, as processes."""
