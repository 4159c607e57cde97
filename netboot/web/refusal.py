"""A request that is not answered as it wishes: the status, and a line for people that says why."""

from __future__ import annotations

from collections.abc import Sequence


class Refused(Exception):
    """Raised wherever a request is read or handled; becomes a response of its own (`netboot.web.response`)."""

    def __init__(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers: Sequence[tuple[str, str]] = headers
