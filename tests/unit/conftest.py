"""Unit tests run without sockets: a decision that needs one is in the wrong module."""

from __future__ import annotations

import socket
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def refuse(family: int = -1, *args: Any, **kwargs: Any) -> socket.socket:
        if family in (socket.AF_INET, socket.AF_INET6, socket.AF_PACKET, -1):
            raise AssertionError("a unit test opened a network socket")
        return real(family, *args, **kwargs)

    monkeypatch.setattr(socket, "socket", refuse)
