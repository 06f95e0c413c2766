"""Tests of the stores, beyond what the contract asks of each."""
