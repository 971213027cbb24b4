"""Why the registry does not do what it was asked; every noun of it refuses with these."""


class WrongFieldError(ValueError):
    """A field's content cannot be; names the field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


class NotThereError(LookupError):
    """There is no such thing, or it is another account's, which is not told."""

    def __init__(self, thing: str) -> None:
        super().__init__(f"no such {thing}")


class InUseError(ValueError):
    """It cannot be taken away or changed while something else, or history, depends on it."""
