"""Tests of single modules, without sleep and without I/O; the tree mirrors `swampd`."""
