"""The interfaces that are served now: started, moved and stopped until they are where they should be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from netboot.daemon.places import Place
from netboot.daemon.site import Site
from netboot.errors import NetbootError

log = logging.getLogger(__name__)


class Sites:
    """By interface.  One that fails leaves the others alone."""

    def __init__(self, make: Callable[[Place], Site]) -> None:
        self._make = make
        self._sites: dict[str, Site] = {}

    async def open(self, places: Sequence[Place]) -> None:
        """Serve them all; raises when one cannot be served."""
        for place in places:
            await self._open(place)

    async def follow(self, places: Sequence[Place]) -> Mapping[str, NetbootError]:
        """Serve these places and no other; why one that should be served is not, by interface."""
        wanted = {place.interface.name: place for place in places}
        for name, site in list(self._sites.items()):
            place = wanted.get(name)
            if place is None or (place.address, place.index) != (site.place.address, site.place.index):
                await self._close(name)
        failed = {}
        for name, place in wanted.items():
            try:
                if name in self._sites:
                    await self._sites[name].move(place)
                else:
                    await self._open(place)
            except NetbootError as error:
                failed[name] = error
        return failed

    async def close(self) -> None:
        """Stop serving, the last one first."""
        for name in reversed(list(self._sites)):
            await self._close(name)

    def summaries(self) -> Mapping[str, str]:
        """What is served, in words, by interface."""
        return {name: site.summary for name, site in self._sites.items()}

    async def _open(self, place: Place) -> None:
        site = self._make(place)
        await site.start()
        self._sites[place.interface.name] = site

    async def _close(self, name: str) -> None:
        """An interface that is gone may take its sockets along in any way: that must not keep the others waiting."""
        site = self._sites.pop(name)
        try:
            await site.stop()
        except Exception:
            log.exception("%s was not stopped in order", name)
