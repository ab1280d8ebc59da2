"""Logs: one JSON object a line on standard error, without local variables and without secrets."""

import logging
import re
import sys

import structlog
from structlog.types import EventDict, WrappedLogger

# What a secret of ours looks like wherever it may stand: licence keys, tokens, an installation's bearer.
_SECRETS = re.compile(
    r"\b(?:[0-9A-Za-z]{5}-){4}[0-9A-Za-z]{5}\b|\btdm_[\w-]{20,}|\bsite_[0-9a-z]{26}\.[0-9a-f-]{36}\.[\w-]{43}"
)
_HIDDEN = "[hidden]"


def configure_logs(level: str) -> None:
    """Set up the logs of a process; `level` is debug, info, warning or error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(tracebacks),
            structlog.processors.JSONRenderer(default=str),
            hide_secrets,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def hide_secrets(_logger: WrappedLogger, _method: str, line: str | EventDict) -> str | EventDict:
    """Hide what looks like a secret in a rendered line."""
    return _SECRETS.sub(_HIDDEN, line) if isinstance(line, str) else line
