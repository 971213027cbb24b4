"""Meterbook keeps the book of every meter, from one solar home to a utility's millions."""

from importlib.metadata import version

__version__ = version("meterbook")
