"""LTSP as a server of the lab's clients: Debian's package, set up by its own commands as its manual has it.

All of it is below /srv as LTSP wants it, which within the walls is a folder of ours.  LTSP makes a squashfs image of a
version's tree, and takes kernel and initrd out of that; dnsmasq with LTSP's own configuration lends addresses and
serves loader, kernel and initrd; the kernel's NFS server, which LTSP would have, is NFS-Ganesha, as it is for netboot.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template

from netboot.errors import Unavailable
from netboot.exports.process import listens
from netboot.images.store import ImageStore
from netboot.lab.lab import Lab
from netboot.lab.process import Child
from netboot.system.commands import run

NAME = "client"
SERVED = Path("srv/ltsp/images") / f"{NAME}.img"
START_S = 30.0

_SRV = Path("/srv")
_DNSMASQ_CONF = Path("/usr/share/ltsp/server/dnsmasq/ltsp-dnsmasq.conf")
_GANESHA_CONF = Path(__file__).with_name("ltsp.ganesha.conf")
_GANESHA_PLUGIN = "usr/lib/*/ganesha/libfsalvfs.so"


def prepare(folder: Path, lab: Lab) -> None:
    """What an admin does once: image, kernel and initrd, and LTSP's own initrd, below `folder`."""
    _show_srv(folder)
    store = ImageStore(lab.spec.data_dir / "images")
    version = store.get(lab.spec.image)
    source = _SRV / "ltsp" / NAME
    source.mkdir(parents=True, exist_ok=True)
    store.materialise(version)
    run(["mount", "-t", version.filesystem, "-o", "ro,loop", version.root.path, source])
    _ltsp(lab, "image", NAME)  # which runs `ltsp kernel` at its end
    run(["umount", source])
    _ltsp(lab, "initrd")


@contextmanager
def serving(folder: Path, lab: Lab) -> Iterator[None]:
    """LTSP's servers on the lab's wire, from when they answer."""
    _show_srv(folder)
    _ltsp(lab, "ipxe")
    config = lab.directory / "ganesha.conf"
    config.write_text(Template(_GANESHA_CONF.read_text()).substitute(plugins=_plugins()))
    servers: dict[str, tuple[Sequence[str | Path], int | None]] = {
        "rpcbind": (["rpcbind", "-f", "-w"], 111),
        "ganesha": (["ganesha.nfsd", "-F", "-f", config, "-L", "/dev/stdout", "-p", "/run/ganesha.pid"], 2049),
        "dnsmasq": (_dnsmasq(lab), None),
    }
    with ExitStack() as stack:
        for name, (argv, port) in servers.items():
            log = lab.directory / f"ltsp-{name}.log"
            child = stack.enter_context(Child.start(f"LTSP's {name}", [str(word) for word in argv], log=log))
            _await(child, port)
        yield


def _ltsp(lab: Lab, *words: str) -> None:
    """One of LTSP's commands.  What stands in the environment holds as if it stood in ltsp.conf."""
    # LTSP finds out by the route to its own network who it is; here it is told.
    told = {"DEVICE": lab.plan.bridge, "IP_ADDRESS": str(lab.plan.server.ip), "MAC_ADDRESS": _mac(lab.plan.bridge)}
    menu = {"DEFAULT_IMAGE": NAME, "MENU_TIMEOUT": "-1", "KERNEL_PARAMETERS": " ".join(lab.spec.kernel_args)}
    politeness = {"IONICE": ""}  # it would let everything else on this machine go first
    run(["ltsp", *words], env={**told, **menu, **politeness}, timeout_s=None)


def _dnsmasq(lab: Lab) -> list[str]:
    pool = lab.plan.pool
    return [
        "dnsmasq",
        "--keep-in-foreground",
        f"--conf-file={_DNSMASQ_CONF}",
        "--log-facility=-",
        "--user=root",
        f"--interface={lab.plan.bridge}",
        "--bind-interfaces",
        f"--dhcp-range={pool.first},{pool.last},{lab.plan.server.network.netmask},1h",
        "--dhcp-authoritative",
        "--no-ping",  # else it holds each first offer back for 3 s to ping the address
        f"--dhcp-leasefile={lab.directory / 'ltsp.leases'}",
    ]


def _show_srv(folder: Path) -> None:
    own = folder / "srv"
    (own / "tftp").mkdir(parents=True, exist_ok=True)
    run(["mount", "--bind", own, _SRV])


def _await(child: Child, port: int | None) -> None:
    deadline = time.monotonic() + START_S
    while port and not listens(port):
        child.check()
        if time.monotonic() > deadline:
            raise Unavailable(f"{child.name} does not listen on port {port}", hint=f"see its log: {child.log}")
        time.sleep(0.1)


def _mac(link: str) -> str:
    return Path(f"/sys/class/net/{link}/address").read_text().strip()


def _plugins() -> Path:
    found = next(Path("/").glob(_GANESHA_PLUGIN), None)
    if found is None:
        raise Unavailable("NFS-Ganesha is not installed", hint="apt-get install nfs-ganesha nfs-ganesha-vfs")
    return found.parent
