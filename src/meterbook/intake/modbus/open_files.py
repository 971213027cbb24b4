"""A connection is an open file: the usual limit of 1,024 is less than a crowd of hosts."""

import sys


def allow_many_open_files() -> None:
    """Raise this process's limit of open files as far as the system lets it."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 there is none on Windows

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def open_files_max() -> int | None:
    """Return how many files this process may have open at once; None: no limit is known."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 there is none on Windows

    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if now == resource.RLIM_INFINITY else now
