"""The boot listener: what loaders and clients may ask for, on one screen, and the socket it is asked on.

Plain HTTP without any authentication, on the boot network: nothing here shows or changes configuration.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
from ipaddress import IPv4Address

from aiohttp import web
from aiohttp.http import HttpProcessingError

from netboot.errors import NetbootError, NotPermitted, Unavailable
from netboot.web import boot, files, report
from netboot.web.idle import Idle, IdleRules
from netboot.web.rate import Buckets
from netboot.web.services import SERVICES, BootServices


async def front(_: web.Request) -> web.Response:
    return web.Response(text="netboot boot listener\n")


ROUTES = (
    ("GET", "/", front),
    ("GET", "/boot/{mac}/{kind:ipxe|pxelinux|grub}", boot.script),
    ("GET", "/boot/{mac}/{image}/{number:[1-9][0-9]{0,8}}/{file:vmlinuz|initrd[.]img}", files.artefact),
    ("GET", "/boot/{mac}/report", report.report),
    ("POST", "/boot/{mac}/report", report.report),
    ("GET", "/autoexec.ipxe", boot.autoexec),
    ("GET", "/loader/{folders:(?:[^/]+/)*}autoexec.ipxe", boot.autoexec),
    ("GET", "/loader/{name:.+}", files.loader),
)

_SHUTDOWN_S = 2.0
_IDLE = web.AppKey("idle", Idle)


def create_app(services: BootServices) -> web.Application:
    """The application.  HEAD is answered wherever GET is: EDK2 asks it first."""
    idle = Idle()
    app = web.Application(client_max_size=report.BODY_MAX_BYTES, middlewares=[idle.middleware()])
    app[_IDLE] = idle
    app.on_response_prepare.append(_name_server)
    app[SERVICES] = services
    app[report.BUCKETS] = Buckets(burst=report.RATE_BURST, refill_s=report.RATE_REFILL_S)
    for method, path, handler in ROUTES:
        add = app.router.add_get if method == "GET" else app.router.add_post
        add(_any_slashes(path), handler)
    return app


class BootListener:
    """The application on a socket.  `port` 0 takes any free port, for tests."""

    def __init__(
        self, app: web.Application, address: IPv4Address, port: int, *, idle_rules: IdleRules | None = None
    ) -> None:
        self._idle, self._idle_rules = app[_IDLE], idle_rules or IdleRules()
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_log(),
            keepalive_timeout=self._idle_rules.limit_s,
            shutdown_timeout=_SHUTDOWN_S,
            handle_signals=False,
        )
        self._address = address
        self._wanted_port = port
        self._watching: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        if not self._runner.addresses:
            raise Unavailable("the boot listener is not running")
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Open the port and serve.  Raises `Unavailable` or `NotPermitted`."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, str(self._address), self._wanted_port, backlog=1024, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise _explained(error, self._address, self._wanted_port) from error
        self._watching = asyncio.create_task(self._idle.watch(self._transports, self._idle_rules))

    async def stop(self) -> None:
        """Close the port; transfers under way get a moment to end."""
        if self._watching is not None:
            self._watching.cancel()
        await self._runner.cleanup()

    def _transports(self) -> list[asyncio.Transport]:
        server = self._runner.server
        return [each.transport for each in server.connections if each.transport] if server else []


def _log() -> logging.Logger:
    """aiohttp's words, without a traceback for each packet of nonsense that somebody sends: that one was answered."""
    log = logging.getLogger("netboot.web.aiohttp")
    log.addFilter(_is_ours)
    return log


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _name_server(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "netboot"


def _any_slashes(path: str) -> str:
    """The path with every slash matching several: firmware joins prefixes carelessly, and must not be redirected."""
    parts = re.split(r"/(?![^{]*})", path.removeprefix("/"))
    numbered = (f"{{s{index}:/{'*' if index == 0 else '+'}}}{part}" for index, part in enumerate(parts))
    return "/" + "".join(numbered)


def _explained(error: OSError, address: IPv4Address, port: int) -> NetbootError:
    where = f"TCP port {port} of {address}"
    match error.errno:
        case errno.EADDRINUSE:
            return Unavailable(
                f"{where} is taken, so boot files cannot be served",
                hint=f"see who holds it with `ss -tlpn sport = :{port}`; stop it, or set another http port",
            )
        case errno.EACCES | errno.EPERM:
            return NotPermitted(
                f"the right to open {where} is lacking",
                hint="run as root, give the service CAP_NET_BIND_SERVICE, or set a port above 1023",
            )
        case errno.EADDRNOTAVAIL:
            return Unavailable(
                f"no interface has the address {address}", hint="see `ip -4 address`, and correct the configuration"
            )
    return Unavailable(f"cannot open {where}: {os.strerror(error.errno or 0)}")
