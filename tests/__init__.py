"""Tests, one package a layer: unit, contract, sim, e2e, long."""
