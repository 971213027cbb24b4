"""Fleets of meters and virtual devices, for demos, benchmarks and tests."""
