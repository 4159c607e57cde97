"""The daemon's life: start in order, serve, reload on SIGHUP, stop on SIGTERM."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from netboot.boot.loaderfiles import loader_files, named_loaders
from netboot.boot.script import Renderer
from netboot.config import Config, load_config
from netboot.config.paths import DataDir, templates_dir
from netboot.daemon.parts import Parts, open_parts
from netboot.daemon.policies import Place, check_reservations, place_of, served_networks, shadowed_reservations
from netboot.daemon.site import Settings, Site
from netboot.errors import Conflict, InvalidInput, NetbootError, NotPermitted, Unavailable
from netboot.model.event import Detail, Event, EventKind
from netboot.system.links import Links
from netboot.system.notify import Notifier

log = logging.getLogger(__name__)

_KEEP_UP_S = 5.0
_PRUNE_S = 3600.0
_DAY_S = 86400.0

# What is bound or opened once; a change of these waits for a restart.
_FIXED = ("data_dir", "database", "http", "tftp", "exports")


def serve(config_file: Path, *, data_dir: Path | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit status.

    Raises `NetbootError` when it cannot start: a file with an error, a port that is taken, an interface that is
    missing, a right that is lacking.
    """
    _log_to_stderr()
    config = load_config(config_file)
    data = DataDir.find(data_dir, config.data_dir)
    places = find_places(config)
    with _claimed(data), open_parts(config, data) as parts:
        return asyncio.run(Service(config_file, config, parts, data).run(places))


def find_places(config: Config) -> tuple[Place, ...]:
    """Where to serve.  Raises `InvalidInput` for a file that names no interface: we never pick one ourselves."""
    if not config.interface:
        raise InvalidInput(
            "the configuration names no interface, and none is ever served unasked",
            hint='add one: [[interface]] with name = "eth1" and dhcp = "own" or "proxy"',
        )
    with Links() as links:
        host = [address.ip for link in links.list() for address in link.addresses if not address.ip.is_loopback]
        check_reservations(config, host)
        return tuple(place_of(each, links.get(each.name), config, host=host) for each in config.interface)


class Service:
    """What runs on the event loop."""

    def __init__(self, config_file: Path, config: Config, parts: Parts, data: DataDir) -> None:
        self._config_file = config_file
        self._parts = parts
        self._data = data
        self._started_with = config
        self._settings = self._read(config)
        self._sites: dict[str, Site] = {}
        self._notifier = Notifier()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self, places: Sequence[Place]) -> int:
        with ExitStack() as handlers:
            self._handle_signals(handlers)
            await asyncio.to_thread(self._parts.make_exports_ready, self._settings.boot)
            await self._parts.ledger.load()
            try:
                for place in places:
                    await self._open(place)
                self._ready(EventKind.SERVER_STARTED)
                await self._serve()
            finally:
                self._notifier.stopping()
                await self._close_all()
            self._record(EventKind.SERVER_STOPPED)
        return 0

    async def _serve(self) -> None:
        chores = [
            asyncio.create_task(_repeat(self._keep_up, every_s=_KEEP_UP_S)),
            asyncio.create_task(_repeat(self._prune, every_s=_PRUNE_S)),
        ]
        stop = asyncio.create_task(self._stop.wait())
        try:
            while not stop.done():
                reload = asyncio.create_task(self._reload.wait())
                await asyncio.wait({stop, reload}, return_when=asyncio.FIRST_COMPLETED)
                reload.cancel()
                if self._reload.is_set() and not stop.done():
                    self._reload.clear()
                    await self._do_reload()
        finally:
            for task in (*chores, stop):
                task.cancel()

    async def _do_reload(self) -> None:
        """Read the file again.  One with an error changes nothing; an interface that fails leaves the others alone."""
        self._notifier.reloading()
        try:
            config = load_config(self._config_file)
            # In a thread, since netlink's library runs a loop of its own and refuses to within another.
            places = await asyncio.to_thread(find_places, config)
            settings = self._read(config)
        except NetbootError as error:
            log.error("not reloaded, all stays as it was: %s", error)
            self._notifier.ready(f"not reloaded: {error.message}")
            return
        for key in changed_fixed(self._started_with, config):
            log.warning("%s has changed; that takes effect with the next restart", key)
        self._settings = settings
        self._parts.ledger.serve(served_networks(config))
        await self._serve_networks(config)
        await self._follow(places)
        self._ready(EventKind.SERVER_RELOADED)

    async def _serve_networks(self, config: Config) -> None:
        try:
            await asyncio.to_thread(self._parts.exporter.serve, served_networks(config))
        except NetbootError as error:
            log.error("images are exported to the networks of before: %s", error)

    async def _follow(self, places: Sequence[Place]) -> None:
        """Stop, start and move sites until they are where the file says."""
        wanted = {place.interface.name: place for place in places}
        for name, site in list(self._sites.items()):
            place = wanted.get(name)
            if place is None or (place.address, place.index) != (site.place.address, site.place.index):
                del self._sites[name]
                await site.stop()
        for name, place in wanted.items():
            try:
                if name in self._sites:
                    await self._sites[name].move(place)
                else:
                    await self._open(place)
            except NetbootError as error:
                log.error("%s is not served: %s", name, error)

    async def _open(self, place: Place) -> None:
        site = Site(place, self._parts, lambda: self._settings)
        await site.start()
        self._sites[place.interface.name] = site

    async def _close_all(self) -> None:
        for site in reversed(list(self._sites.values())):
            await site.stop()
        self._sites.clear()

    def _read(self, config: Config) -> Settings:
        loaders = loader_files(config, self._data)
        self._parts.learner.patience = config.boot.patience
        return Settings(
            config=config,
            boot=self._parts.boot_policy(config, loaders),
            loaders=loaders,
            renderer=Renderer(templates_dir(), config.templates),
        )

    def _ready(self, kind: EventKind) -> None:
        served = ", ".join(site.summary for site in self._sites.values())
        log.info("serving %s; images by %s", served, self._parts.exporter.backend_name)
        named = named_loaders(self._settings.config, (each.loader for each in self._parts.clients.list()))
        for name, remedy in self._settings.loaders.missing(named).items():
            log.warning("loader %s cannot be sent: %s", name, remedy)
        for shadowed in shadowed_reservations(self._settings.config, self._parts.clients):
            log.warning("a [[reservation]] waits for its address: %s", shadowed)
        # Whoever judges a boot later, from the events alone, must be as patient as this daemon's admin is.
        self._record(kind, interfaces=served, patience=self._settings.config.boot.patience)
        self._notifier.ready(f"serving {served}")

    def _record(self, kind: EventKind, **details: Detail) -> None:
        self._parts.recorder.record(Event(at=time.time(), kind=kind, details=details))

    def _keep_up(self) -> None:
        """The NFS server is another program; when it dies, clients wait until it is back."""
        if self._parts.exporter.keep_up():
            log.warning("the NFS server had ended, or lost our exports; it serves them again")

    def _prune(self) -> None:
        keep_s = self._settings.config.events.keep_days * _DAY_S
        self._parts.events.prune(time.time() - keep_s)

    def _handle_signals(self, handlers: ExitStack) -> None:
        loop = asyncio.get_running_loop()
        for number, event in (
            (signal.SIGTERM, self._stop),
            (signal.SIGINT, self._stop),
            (signal.SIGHUP, self._reload),
        ):
            loop.add_signal_handler(number, event.set)
            handlers.callback(loop.remove_signal_handler, number)


def changed_fixed(before: Config, after: Config) -> tuple[str, ...]:
    """The settings that a reload cannot change and that differ."""
    return tuple(key for key in _FIXED if getattr(before, key) != getattr(after, key))


async def _repeat(chore: Callable[[], None], *, every_s: float) -> None:
    """Do a chore in a thread, again and again.  One that fails is told and done again next time."""
    while True:
        try:
            await asyncio.to_thread(chore)
        except NetbootError as error:
            log.error("%s", error)
        except Exception:
            log.exception("a chore of the daemon failed")
        await asyncio.sleep(every_s)


@contextmanager
def _claimed(data: DataDir) -> Iterator[None]:
    """Make the data directory ours: two daemons on one would undo each other's exports.  `Conflict` if it is taken."""
    try:
        for directory in (data.root, data.images, data.exports, data.run):
            directory.mkdir(parents=True, exist_ok=True)
        lock = (data.run / "lock").open("w")
    except OSError as error:
        kind = NotPermitted if isinstance(error, PermissionError) else Unavailable
        raise kind(
            f"{error.filename} cannot be made: {error.strerror}",
            hint="run as root on a disk that can be written, or name another --data-dir",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"another netboot serves from {data.root}", hint="stop it first, or name another --data-dir"
            ) from error
        yield


def _log_to_stderr() -> None:
    # journald stamps lines itself and sets this variable for who writes to it.
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=f"{stamp}%(levelname)s %(name)s: %(message)s")
