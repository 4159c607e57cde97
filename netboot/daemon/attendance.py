"""Telling which of the named interfaces came and went: each change once, in the log and in the story."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from netboot.daemon.places import Survey
from netboot.errors import NetbootError
from netboot.model.event import Detail, EventKind

log = logging.getLogger(__name__)


class Record(Protocol):
    def __call__(self, kind: EventKind, **details: Detail) -> None: ...


class Attendance:
    """What was told last.  An interface is told of again only when what there is to say has changed."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._served: Mapping[str, str] = {}
        self._troubles: Mapping[str, str] = {}

    def begin(self, found: Survey, served: Mapping[str, str]) -> None:
        """What is there at the start is told as a whole by whoever starts; only what is missing is told here."""
        self._served = served
        self._tell_troubles(found, {})

    def take(self, found: Survey, failed: Mapping[str, NetbootError], served: Mapping[str, str]) -> None:
        """What is found, what of it could not be served, and in words what is."""
        for name in self._served.keys() - served.keys():
            self._record(EventKind.INTERFACE_LOST, interface=name)
            log.warning("%s is no longer served", name)
        for name in served.keys() - self._served.keys():
            self._record(EventKind.INTERFACE_SERVED, interface=name)
            log.info("serving %s", served[name])
        self._served = served
        self._tell_troubles(found, failed)

    def _tell_troubles(self, found: Survey, failed: Mapping[str, NetbootError]) -> None:
        troubles = {each.interface.name: _down(each.interface.name) for each in found.places if not each.is_up}
        for name, error in (*found.absent.items(), *failed.items()):
            troubles[name] = f"is not served until that changes: {error}"
        for name, trouble in troubles.items():
            if self._troubles.get(name) != trouble:
                log.warning("%s %s", name, trouble)
        self._troubles = troubles


def _down(name: str) -> str:
    return f"is down, so nobody is served there: ip link set {name} up"
