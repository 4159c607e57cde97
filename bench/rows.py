"""What is measured: the rows of the table, each a load, the servers it is put on, and the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from bench.place import POOL_FIRST, Load
from bench.servers import ATFTPD, DNSMASQ, FILES, KEA, NETBOOT, NGINX, TFTPD_HPA, Server

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round on one server."""

    load: Load
    server_cpu_s: float
    resident_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number of a sample.  `best` tells whether more or less is better."""

    name: str
    unit: str
    of: Callable[[Sample], float]
    best: Callable[..., float] = max


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`limit` for our median divided by the best peer's, or for our median itself when nobody is compared."""

    figure: Figure
    limit: float
    absolute: bool = False

    @property
    def words(self) -> str:
        sign = ">=" if self.figure.best is max else "<="
        return f"{self.figure.name} {sign} {self.limit:g}" + (f" {self.figure.unit}" if self.absolute else " x")

    def met(self, value: float) -> bool:
        return value >= self.limit if self.figure.best is max else value <= self.limit


THROUGHPUT = Figure(name="throughput", unit="MiB/s", of=lambda each: each.load.bytes / each.load.seconds / (1 << 20))
RATE = Figure(name="rate", unit="/s", of=lambda each: each.load.ended / each.load.seconds)
P50 = Figure(name="p50", unit="ms", of=lambda each: each.load.p50_ms, best=min)
P99 = Figure(name="p99", unit="ms", of=lambda each: each.load.p99_ms, best=min)
TIME = Figure(name="time", unit="s", of=lambda each: each.load.seconds, best=min)
CPU = Figure(name="CPU", unit="s/GiB", of=lambda each: each.server_cpu_s * GIB / max(each.load.bytes, 1), best=min)
CPU_EACH = Figure(
    name="CPU each", unit="us", of=lambda each: each.server_cpu_s * 1e6 / max(each.load.ended, 1), best=min
)
FAILED = Figure(name="failed", unit="", of=lambda each: each.load.failed, best=min)
RETRIES = Figure(name="retries", unit="", of=lambda each: each.load.retries, best=min)
RESIDENT = Figure(name="resident", unit="MiB", of=lambda each: each.resident_bytes / (1 << 20), best=min)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.  `file` is one of `FILES` or "script"; `peers` are started together if in one tuple.

    `beside` is a load that goes on all the while, of which nothing is told.
    """

    key: str
    title: str
    phases: str
    peers: tuple[tuple[Server, ...], ...]
    targets: tuple[Target, ...]
    figures: tuple[Figure, ...]
    slots: int
    jobs: int
    file: str | None = None
    options: Mapping[str, int] = field(default_factory=dict)
    beside: Row | None = None

    def arguments(self, servers: tuple[Server, ...]) -> list[str]:
        """The load client's arguments against these servers: TFTP of the first, HTTP of the last."""
        words = ["--phases", self.phases, "--slots", str(self.slots), "--jobs", str(self.jobs)]
        if "D" not in self.phases:
            words += ["--pool", POOL_FIRST]
        if "T" in self.phases:
            words += ["--file", servers[0].names[self.file or "loader"].lstrip("/")]
        if "H" in self.phases or "R" in self.phases:
            name = "script" if "T" in self.phases else self.file or "script"
            words += ["--path", servers[-1].names[name], "--port", str(servers[-1].http_port)]
        if self.file in FILES:
            words += ["--bytes", str(FILES[self.file])]
        for name, value in self.options.items():
            words += [f"--{name}", str(value)]
        return words


def _storm(window: int, least: float) -> Row:
    return Row(
        key=f"tftp-storm-{window}",
        title=f"TFTP, 1,000 clients x 1 MiB, blksize 1428, window {window}",
        phases="T",
        file="small",
        slots=1000,
        jobs=1000,
        options={"window": window},
        peers=((DNSMASQ,),),
        targets=(
            Target(figure=THROUGHPUT, limit=least),
            Target(figure=FAILED, limit=0, absolute=True),
            *((Target(figure=RETRIES, limit=0, absolute=True),) if window == 1 else ()),
        ),
        figures=(THROUGHPUT, P99, RETRIES, FAILED, CPU),
    )


def _large(window: int, peer: Server, *targets: Target) -> Row:
    return Row(
        key=f"tftp-large-{window}",
        title=f"TFTP, 64 MiB to one client, eight times, window {window}",
        phases="T",
        file="large",
        slots=1,
        jobs=8,
        options={"window": window},
        peers=((peer,),),
        targets=targets,
        figures=(THROUGHPUT, CPU, RETRIES),
    )


_WINDOWED = (Target(figure=THROUGHPUT, limit=4), Target(figure=CPU, limit=0.25))
_WEB = (Target(figure=THROUGHPUT, limit=0.75), Target(figure=CPU, limit=1.3))


def boot_storm(clients: int) -> Row:
    """Simulated PXE clients from DISCOVER to the script, all switched on at once."""
    return Row(
        key=f"boot-{clients}",
        title=f"{clients:,} PXE clients at once, DISCOVER to script",
        phases="DTIH",
        slots=clients,
        jobs=clients,
        options={"window": 4},
        peers=((DNSMASQ, NGINX),),
        targets=(
            Target(figure=TIME, limit=0.8),
            Target(figure=FAILED, limit=0, absolute=True),
            Target(figure=RESIDENT, limit=150, absolute=True),
        ),
        figures=(TIME, P50, P99, RETRIES, FAILED, RESIDENT),
    )


ROWS: tuple[Row, ...] = (
    _storm(1, 0.9),
    _storm(4, 2.0),
    _storm(16, 3.5),
    _large(16, ATFTPD, *_WINDOWED),
    _large(64, ATFTPD, *_WINDOWED),
    # tftpd-hpa forks, and its children's CPU time is told to nobody.
    replace(_large(1, TFTPD_HPA, Target(figure=THROUGHPUT, limit=0.9)), figures=(THROUGHPUT, RETRIES)),
    Row(
        key="tftp-loss",
        title="TFTP, 100 clients x 1 MiB, window 4, 1 % of the packets lost",
        phases="T",
        file="small",
        slots=100,
        jobs=100,
        options={"window": 4, "loss": 10},
        peers=((DNSMASQ,), (ATFTPD,), (TFTPD_HPA,)),
        targets=(Target(figure=P99, limit=0.3),),
        figures=(P50, P99, RETRIES, FAILED),
    ),
    Row(
        key="dhcp",
        title="DHCP, 100 exchanges outstanding, each lease durable before its ACK",
        phases="D",
        slots=100,
        jobs=20_000,
        peers=((KEA,),),
        targets=(Target(figure=RATE, limit=3), Target(figure=P99, limit=0.5)),
        figures=(RATE, P50, P99, RETRIES, FAILED, CPU_EACH),
    ),
    Row(
        key="dhcp-in-storm",
        title="DHCP, 5 exchanges outstanding, during a TFTP storm of 200 clients in lock-step",
        phases="D",
        slots=5,
        jobs=500,
        peers=((DNSMASQ,),),
        targets=(Target(figure=P99, limit=0.5),),
        figures=(P50, P99, RETRIES, FAILED),
        beside=replace(_storm(1, 0.9), slots=200, jobs=100_000),
    ),
    Row(
        key="http-large",
        title="HTTP, 64 MiB to 100 clients",
        phases="H",
        file="large",
        slots=100,
        jobs=100,
        peers=((NGINX,),),
        targets=_WEB,
        figures=(THROUGHPUT, P99, CPU, FAILED),
    ),
    Row(
        key="http-ranges",
        title="HTTP, 64 MiB in ranges of 1 MiB, 20 clients",
        phases="R",
        file="large",
        slots=20,
        jobs=40,
        options={"range": 1 << 20},
        peers=((NGINX,),),
        targets=_WEB,
        figures=(THROUGHPUT, P99, CPU, FAILED),
    ),
    Row(
        key="scripts",
        title="Rendered iPXE scripts, 20 clients at a time, a connection each",
        phases="H",
        slots=20,
        jobs=10_000,
        peers=(),
        targets=(Target(figure=RATE, limit=2000, absolute=True),),
        figures=(RATE, P50, P99, CPU_EACH),
    ),
    Row(
        key="scripts-100",
        title="Rendered iPXE scripts, 100 clients at a time",
        phases="H",
        slots=100,
        jobs=10_000,
        peers=(),
        targets=(Target(figure=P99, limit=20, absolute=True),),
        figures=(RATE, P50, P99, CPU_EACH),
    ),
    boot_storm(1000),
)
# Beyond a thousand, half of the peers' clients give up, and the others wait for minutes.
GROWTH: tuple[Row, ...] = (
    *(boot_storm(clients) for clients in (10, 100, 300, 1000)),
    *(replace(boot_storm(clients), peers=()) for clients in (2000, 5000)),
)
OURS = NETBOOT
