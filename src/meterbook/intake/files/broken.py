"""How a file that cannot be taken is named: file, line, column and reason, in one line."""

from pathlib import Path


class BrokenFileError(ValueError):
    """A file that is broken, foreign or too large. Nothing of it is stored."""

    def __init__(self, path: Path, reason: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(f"{path}: line {line}, column {column}: {reason}")
        self.path = path
        self.line = line
        self.column = column
        self.reason = reason


class NoMeterFileError(BrokenFileError):
    """A file that looks like none of the formats, or like text without a table of readings."""
