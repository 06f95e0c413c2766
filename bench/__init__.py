"""Benchmarks: counts and ratios, printed with how they were got."""
