"""The one family of errors that a person is meant to read.

Whatever goes wrong in a way that an admin can mend is a `NetbootError`: it says what is wrong, hints at the
fix, and carries the exit code and the HTTP status with which the edges answer.  Not-found and broken are
never merged.  Anything else that escapes is a bug.
"""

from __future__ import annotations


class NetbootError(Exception):
    """Something failed that a person can mend.

    `message` is one sentence without a final stop; `hint` names the fix (a command, a key, a package).
    """

    exit_code = 1
    http_status = 500

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidInput(NetbootError):
    """What was given cannot be right: a bad MAC address, an unknown key, a range that does not fit."""

    exit_code = 2
    http_status = 400


class NotFound(NetbootError):
    """The thing named does not exist.  Never used for a store that could not be read."""

    exit_code = 3
    http_status = 404


class Conflict(NetbootError):
    """The change contradicts what is there: a duplicate name, an image in use."""

    exit_code = 4
    http_status = 409


class NotPermitted(NetbootError):
    """A right is lacking: not root, a capability dropped, a file that may not be read."""

    exit_code = 5
    http_status = 403


class Unavailable(NetbootError):
    """Something outside of us is missing or busy: a port, an interface, a program, a kernel feature."""

    exit_code = 6
    http_status = 503
