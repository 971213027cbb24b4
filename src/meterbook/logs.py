"""
Structured logs: one JSON object a line on stdout.

No route logs what a person or a meter sent: names, FINs, keys and passwords have no way in.
"""

import logging

import structlog


class LogLevelError(ValueError):
    """Not a log level."""


LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_logs(level: str) -> None:
    """
    Write logs from that level up.

    :raises LogLevelError: if there is no such level.
    """
    if level not in LEVELS:
        raise LogLevelError(f"must be one of {', '.join(LEVELS)}")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
