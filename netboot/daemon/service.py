"""The daemon's life: start in order, serve, reload on SIGHUP, stop on SIGTERM."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum, auto
from functools import partial
from pathlib import Path

from netboot.boot.loaderfiles import loader_files, named_loaders
from netboot.boot.script import Renderer
from netboot.config import Config, load_config
from netboot.config.paths import DataDir, templates_dir
from netboot.daemon.attendance import Attendance
from netboot.daemon.exporting import export_steps, make_exports_ready
from netboot.daemon.parts import Parts, open_parts
from netboot.daemon.pauses import search_all, spare_pauses
from netboot.daemon.places import Survey, survey
from netboot.daemon.policies import served_networks, shadowed_reservations
from netboot.daemon.site import Settings, Site
from netboot.daemon.sites import Sites
from netboot.errors import Conflict, NetbootError, NotPermitted, Unavailable
from netboot.model.event import Detail, Event, EventKind
from netboot.personal.layout import check_files
from netboot.system.linknews import LinkNews
from netboot.system.notify import Notifier

log = logging.getLogger(__name__)

_KEEP_UP_S = 5.0
# So long may what a client keeps be exported to an address that it has lost.
_REVIEW_S = 1.0
_PRUNE_S = 3600.0
_DAY_S = 86400.0
_SETTLE_S = 0.2
_RETRY_S = 5.0

# What is bound or opened once; a change of these waits for a restart.
_FIXED = ("data_dir", "database", "http", "tftp", "exports")


def serve(config_file: Path, *, data_dir: Path | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit status.

    Raises `NetbootError` when it cannot start: a file with an error, a port that is taken, no interface that could be
    served, a right that is lacking.
    """
    _log_to_stderr()
    config = load_config(config_file)
    data = DataDir.find(data_dir, config.data_dir)
    found = survey(config).check()
    with _claimed(data, config_file), open_parts(config, data) as parts:
        return asyncio.run(Service(config_file, config, parts, data).run(found))


def plan(config_file: Path, *, data_dir: Path | None = None) -> tuple[str, ...]:
    """What `serve` would change of exports and targets when it starts, a line a step; nothing is done.

    Raises `NetbootError` as `serve` does.
    """
    config = load_config(config_file)
    return export_steps(config, DataDir.find(data_dir, config.data_dir))


class Wish(Enum):
    """What wakes the daemon."""

    STOP = auto()
    RELOAD = auto()
    LOOK = auto()  # for interfaces that came, went or changed


class Service:
    """What runs on the event loop."""

    def __init__(self, config_file: Path, config: Config, parts: Parts, data: DataDir) -> None:
        self._config_file = config_file
        self._parts = parts
        self._data = data
        self._started_with = config
        self._settings = self._read(config)
        self._sites = Sites(lambda place: Site(place, parts, lambda: self._settings))
        self._attendance = Attendance(self._record)
        self._notifier = Notifier()
        self._wishes: set[Wish] = set()
        self._woken = asyncio.Event()

    async def run(self, found: Survey) -> int:
        with ExitStack() as handlers:
            self._listen(handlers)
            # Whose an address is decides what may be exported to it.
            await self._parts.ledger.load()
            await asyncio.to_thread(self._make_exports_ready)
            try:
                await self._sites.open(found.places)
                self._attendance.begin(found, self._sites.summaries())
                self._ready(EventKind.SERVER_STARTED)
                spare_pauses()
                await self._serve()
            finally:
                self._notifier.stopping()
                await self._sites.close()
            self._record(EventKind.SERVER_STOPPED)
        return 0

    def _make_exports_ready(self) -> None:
        parts = self._parts
        own = parts.restore_volumes()
        make_exports_ready(parts.exporter, parts.versions, parts.clients, self._settings.boot, own)

    async def _serve(self) -> None:
        chores = [
            asyncio.create_task(_repeat(partial(asyncio.to_thread, self._keep_up), every_s=_KEEP_UP_S)),
            asyncio.create_task(_repeat(partial(asyncio.to_thread, self._prune), every_s=_PRUNE_S)),
            asyncio.create_task(_repeat(self._review_volumes, every_s=_REVIEW_S)),
        ]
        try:
            while Wish.STOP not in self._wishes:
                await self._woken.wait()
                self._woken.clear()
                if Wish.RELOAD in self._wishes:
                    self._wishes -= {Wish.RELOAD}
                    await self._do_reload()
                elif Wish.LOOK in self._wishes:
                    await self._look_again()
        finally:
            for task in chores:
                task.cancel()

    def _wish(self, wish: Wish) -> None:
        self._wishes.add(wish)
        self._woken.set()

    async def _look_again(self) -> None:
        """Follow the interfaces.  One change is many messages, and the address comes after the link."""
        await asyncio.sleep(_SETTLE_S)
        self._wishes -= {Wish.LOOK}
        try:
            found = await asyncio.to_thread(survey, self._settings.config)
        except Exception:
            log.exception("the interfaces cannot be read")
            asyncio.get_running_loop().call_later(_RETRY_S, self._wish, Wish.LOOK)
            return
        await self._follow(found)
        self._notifier.ready(f"serving {self._served}")

    async def _do_reload(self) -> None:
        """Read the file again.  One with an error changes nothing; an interface that fails leaves the others alone."""
        self._notifier.reloading()
        try:
            config = load_config(self._config_file)
            # In a thread, since netlink's library runs a loop of its own and refuses to within another.
            found = (await asyncio.to_thread(survey, config)).check()
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
        await self._follow(found)
        self._ready(EventKind.SERVER_RELOADED)

    async def _serve_networks(self, config: Config) -> None:
        try:
            await asyncio.to_thread(self._parts.exporter.serve, served_networks(config))
        except NetbootError as error:
            log.error("images are exported to the networks of before: %s", error)

    async def _follow(self, found: Survey) -> None:
        failed = await self._sites.follow(found.places)
        self._attendance.take(found, failed, self._sites.summaries())
        if failed:
            asyncio.get_running_loop().call_later(_RETRY_S, self._wish, Wish.LOOK)

    @property
    def _served(self) -> str:
        return ", ".join(self._sites.summaries().values()) or "no interface"

    def _read(self, config: Config) -> Settings:
        loaders = loader_files(config, self._data)
        for folder in filter(None, (config.boot.files, *(each.files for each in config.profile.values()))):
            check_files(folder)
        self._parts.learner.patience = config.boot.patience
        return Settings(
            config=config,
            boot=self._parts.boot_policy(config, loaders),
            loaders=loaders,
            renderer=Renderer(templates_dir(), config.templates),
            templates=tuple(each for each in (templates_dir(), config.templates) if each is not None),
        )

    def _ready(self, kind: EventKind) -> None:
        served = self._served
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

    async def _review_volumes(self) -> None:
        """What clients keep is theirs by their addresses, and these change hands."""
        volumes = self._parts.volumes
        if volumes.addresses():
            await asyncio.to_thread(volumes.review, self._parts.lost_addresses())

    def _prune(self) -> None:
        keep_s = self._settings.config.events.keep_days * _DAY_S
        self._parts.events.prune(time.time() - keep_s)
        search_all()

    def _listen(self, handlers: ExitStack) -> None:
        """To signals, and to the kernel's news of interfaces."""
        loop = asyncio.get_running_loop()
        wishes = {signal.SIGTERM: Wish.STOP, signal.SIGINT: Wish.STOP, signal.SIGHUP: Wish.RELOAD}
        for number, wish in wishes.items():
            loop.add_signal_handler(number, self._wish, wish)
            handlers.callback(loop.remove_signal_handler, number)
        news = handlers.enter_context(LinkNews())
        loop.add_reader(news, self._hear, news)
        handlers.callback(loop.remove_reader, news)

    def _hear(self, news: LinkNews) -> None:
        news.drain()
        self._wish(Wish.LOOK)


def changed_fixed(before: Config, after: Config) -> tuple[str, ...]:
    """The settings that a reload cannot change and that differ."""
    return tuple(key for key in _FIXED if getattr(before, key) != getattr(after, key))


async def _repeat(chore: Callable[[], Awaitable[None]], *, every_s: float) -> None:
    """Do a chore again and again.  One that fails is told and done again next time."""
    while True:
        try:
            await chore()
        except NetbootError as error:
            log.error("%s", error)
        except Exception:
            log.exception("a chore of the daemon failed")
        await asyncio.sleep(every_s)


@contextmanager
def _claimed(data: DataDir, config_file: Path) -> Iterator[None]:
    """Make the data directory ours: two daemons on one would undo each other's exports.  `Conflict` if it is taken.

    Commands that work on the directory learn from the lock by which file it is served.
    """
    try:
        for directory in (data.root, data.images, data.exports, data.run, data.clients):
            directory.mkdir(parents=True, exist_ok=True)
        data.clients.chmod(0o700)
        lock = data.lock.open("a", encoding="utf-8")  # what stands there is another's until we hold it
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
        lock.truncate(0)
        lock.write(f"{config_file.absolute()}\n")
        lock.flush()
        yield


def _log_to_stderr() -> None:
    # journald stamps lines itself and sets this variable for who writes to it.
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=f"{stamp}%(levelname)s %(name)s: %(message)s")
