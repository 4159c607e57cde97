"""The servers that are compared: each is started as its documentation says for this work, on the server's core."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import place
from bench.place import POOL_FIRST, POOL_LAST, SERVER, Process
from netboot.errors import Unavailable
from netboot.images.manifest import Manifest, Origin, OriginKind
from netboot.images.measure import measure_whole
from netboot.images.store import ImageStore
from netboot.system.commands import run

MIB = 1 << 20
# TFTP and HTTP serve these; the loader has the size of a real one.
FILES = {"loader": 250_000, "small": 1 * MIB, "large": 64 * MIB}
START_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How to start a server, and what its files are called there.  `names` maps those of `FILES`."""

    name: str
    start: Callable[[Path], Process]
    names: Mapping[str, str]
    http_port: int = 8080


# The image's kernel is the small file, its initrd the large one.
_MAC = "52-54-00-00-00-01"
NETBOOT_SCRIPT = f"/boot/{_MAC}/ipxe"


def _netboot(folder: Path) -> Process:
    data = folder / "data"
    publish(ImageStore(data / "images"), folder)
    for state in data.glob("netboot.db*"):
        state.unlink()
    config = folder / "netboot.toml"
    config.write_text(netboot_config())
    # Named here, since NETBOOT_DATA_DIR would go before what a file says.
    argv: list[str | Path] = [sys.executable, "-m", "netboot", "serve", "--config", config, "--data-dir", data]
    return Process(argv, folder / "netboot.log")


def netboot_config() -> str:
    template = Path(__file__).with_name("netboot.toml").read_text()
    return template.format(interface=place.INTERFACE, network=place.NETWORK, first=POOL_FIRST, last=POOL_LAST)


def publish(store: ImageStore, folder: Path) -> None:
    """An image of our two files and an empty root."""
    if store.names():
        return
    with store.stage("bench") as staging:
        for mine, theirs in (("small", "vmlinuz"), ("large", "initrd.img")):
            (staging.version / theirs).write_bytes((folder / "files" / mine).read_bytes())
        run(["mkfs.ext4", "-q", "-F", staging.version / "root.ext4", "4M"])
        manifest = Manifest(
            image="bench",
            number=staging.number,
            origin=Origin(kind=OriginKind.IMPORT, name="bench"),
            created_at=time.time(),
            arch="amd64",
            filesystem="ext4",
            kernel_version="0",
            files=measure_whole(staging.version, "bench", staging.number),
        )
        store.publish(staging, manifest)


def _dnsmasq(folder: Path) -> Process:
    options = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--user=root",
        "--log-facility=-",
        "--quiet-dhcp",
        "--quiet-tftp",
        "--enable-tftp",
        f"--tftp-root={folder / 'files'}",
        "--tftp-max=5000",
        "--no-ping",
        f"--dhcp-range={POOL_FIRST},{POOL_LAST},255.255.0.0,12h",
        "--dhcp-lease-max=100000",
        f"--dhcp-leasefile={folder / 'dnsmasq.leases'}",
        "--dhcp-userclass=set:ipxe,iPXE",
        f"--dhcp-boot=tag:!ipxe,loader,,{SERVER}",
        f"--dhcp-boot=tag:ipxe,http://{SERVER}:8081/script",
    ]
    (folder / "dnsmasq.leases").unlink(missing_ok=True)
    return Process(["dnsmasq", *options], folder / "dnsmasq.log")


def _tftpd_hpa(folder: Path) -> Process:
    options = ["--foreground", "--address", f"{SERVER}:69", "--user", "root", "--secure"]
    return Process(["in.tftpd", *options, str(folder / "files")], folder / "tftpd-hpa.log")


def _atftpd(folder: Path) -> Process:
    binary = folder / "atftpd/usr/sbin/atftpd"
    options = ["--daemon", "--no-fork", "--logfile", "/dev/stdout", "--verbose=3", "--user", "root.root"]
    where = ["--maxthread", "5000", "--bind-address", SERVER, str(folder / "files")]
    return Process([str(binary), *options, *where], folder / "atftpd.log")


def unpack_atftpd(folder: Path) -> None:
    """Its package cannot be installed beside tftpd-hpa's, so it is only unpacked."""
    home = folder / "atftpd"
    if home.exists():
        return
    home.mkdir()
    run(["sh", "-c", f"cd '{home}' && apt-get download -qq -o APT::Sandbox::User=root atftpd && dpkg -x *.deb ."])


def _kea(folder: Path) -> Process:
    config = {
        "Dhcp4": {
            "interfaces-config": {"interfaces": [place.INTERFACE], "dhcp-socket-type": "udp"},
            "lease-database": {"type": "memfile", "persist": True, "name": str(folder / "kea.leases")},
            "multi-threading": {"enable-multi-threading": False},
            "valid-lifetime": 43200,
            "next-server": SERVER,
            "boot-file-name": "loader",
            "subnet4": [{"subnet": place.NETWORK, "pools": [{"pool": f"{POOL_FIRST} - {POOL_LAST}"}]}],
            "loggers": [{"name": "kea-dhcp4", "severity": "ERROR", "output_options": [{"output": "stdout"}]}],
        }
    }
    (folder / "kea.leases").unlink(missing_ok=True)
    file = folder / "kea.json"
    file.write_text(json.dumps(config))
    places = {"KEA_PIDFILE_DIR": str(folder), "KEA_LOCKFILE_DIR": str(folder)}
    return Process(["kea-dhcp4", "-c", file], folder / "kea.log", env=places)


def _nginx(folder: Path) -> Process:
    template = Path(__file__).with_name("nginx.conf").read_text()
    file = folder / "nginx.conf"
    file.write_text(template.replace("@folder@", str(folder)))
    return Process(["nginx", "-e", folder / "nginx-error.log", "-c", file], folder / "nginx.log")


_SCRIPT = Path(__file__).parents[1] / "tests/golden/scripts/ipxe-image.txt"
_PLAIN = {each: each for each in FILES}
_PATHS = {each: f"/{each}" for each in FILES}

NETBOOT = Server(
    name="netboot",
    start=_netboot,
    names={
        "loader": "ipxe/snponly.efi",
        "small": f"/boot/{_MAC}/bench/1/vmlinuz",
        "large": f"/boot/{_MAC}/bench/1/initrd.img",
        "script": NETBOOT_SCRIPT,
    },
)
DNSMASQ = Server(name="dnsmasq", start=_dnsmasq, names=_PLAIN)
TFTPD_HPA = Server(name="tftpd-hpa", start=_tftpd_hpa, names=_PLAIN)
ATFTPD = Server(name="atftpd", start=_atftpd, names=_PLAIN)
KEA = Server(name="kea", start=_kea, names=_PLAIN)
NGINX = Server(name="nginx", start=_nginx, names={**_PATHS, "script": "/script"}, http_port=8081)


def make_files(folder: Path) -> None:
    """What is served, the same bytes by everyone; nginx's script is one that we would render."""
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    for name, size in FILES.items():
        file = files / name
        if not file.exists() or file.stat().st_size != size:
            file.write_bytes(os.urandom(size))
    (files / "script").write_bytes(_SCRIPT.read_bytes())


@contextmanager
def running(server: Server, folder: Path, ready: Callable[[], bool]) -> Iterator[Process]:
    """The server, from when it answers."""
    process = server.start(folder)
    try:
        until = time.monotonic() + START_S
        while not ready():
            if process.ended() or time.monotonic() > until:
                raise Unavailable(f"{server.name} does not answer", hint=f"its log: {process.log.read_text()[-800:]}")
            time.sleep(0.1)
        yield process
    finally:
        process.stop()
