"""Modbus: polling and decoding; `devices/*.toml` are data, not code."""
