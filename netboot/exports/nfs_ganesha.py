"""NFS-Ganesha, an NFS server in user space, for machines whose kernel has none.

It runs as a child of ours, with a configuration that we generate; exports change by rewriting that and SIGHUP.  It
speaks NFS 4.1 and 4.2 on TCP port 2049 and needs no other daemon.  When we are killed it lives on, since clients'
roots hang on it, and the next of us takes it over by its pid file.
"""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from netboot.errors import Unavailable
from netboot.exports.plan import Export, Grant, Plan
from netboot.exports.process import Supervised

PROGRAM = "ganesha.nfsd"
PORT = 2049

# Debian keeps plug-ins in the architecture's folder, others here.
_PLUGINS = ("/usr/lib/*/ganesha/libfsalvfs.so", "/usr/lib64/ganesha/libfsalvfs.so", "/usr/lib/ganesha/libfsalvfs.so")

_RELOADED = "Reread exports complete"

# 0 is the pseudo root, ids have 16 bits.
_MAX_ID = 0xFFFF

_BLOCK = re.compile(r"^EXPORT \{\n.*?^\}$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"Export_Id = (\d+);")
_PATH = re.compile(r'^    Path = "([^"]+)";$', re.MULTILINE)
_CLIENTS = re.compile(r"Clients = ([^;]+);")
_ACCESS = re.compile(r"Access_Type = (RO|RW);")


class Ganesha:
    """The backend.  All its files are below `run`: configuration, pid, log, and the recovery folder it insists on.

    `patience_s` is how long it may take to start, and to read its configuration again.
    """

    name = "ganesha"

    def __init__(self, run: Path, *, patience_s: float = 30.0) -> None:
        self._run = run
        self._config = run / "ganesha.conf"
        self._server = Supervised(
            argv=(
                PROGRAM,
                "-F",
                "-f",
                str(self._config),
                "-L",
                str(run / "ganesha.log"),
                "-p",
                str(run / "ganesha.pid"),
            ),
            pid_file=run / "ganesha.pid",
            log=run / "ganesha.log",
            port=PORT,
            timeout_s=patience_s,
            taken_hint="another NFS server runs: systemctl disable --now nfs-ganesha nfs-server, or see ss -ltnp",
        )

    def prepare(self) -> None:
        self._server.prepare()

    def observe(self) -> Sequence[Grant]:
        return read_grants(self._written())

    def carry_out(self, plan: Plan, desired: Sequence[Export]) -> None:
        before = self._written()
        text = render_config(
            desired, ids=assign_ids(desired, known=read_ids(before)), run=self._run, plugins=_plugins()
        )
        self._write(text)
        if not self._server.alive():
            self._server.start()
        elif text != before:
            self._server.reload(until=_RELOADED)

    def keep_up(self) -> bool:
        if self._server.alive() or not self._config.exists():
            return False
        self._server.start()
        return True

    def stop(self) -> bool:
        # The configuration stays: its export ids are in the file handles of clients that wait for us to come back.
        self._server.stop()
        return True

    def _written(self) -> str:
        return self._config.read_text(encoding="utf-8", errors="replace") if self._config.exists() else ""

    def _write(self, text: str) -> None:
        (self._run / "ganesha").mkdir(parents=True, exist_ok=True)
        temporary = self._config.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._config)


def assign_ids(exports: Iterable[Export], *, known: Mapping[Path, int]) -> dict[Path, int]:
    """An id for each export: the one it had, else a free one found from its path.

    Ganesha puts the id into file handles, so a running client's export must keep it.
    """
    ids: dict[Path, int] = {}
    taken = set(known.values())
    for export in exports:
        number = known.get(export.path)
        if number is None:
            number = zlib.crc32(str(export.path).encode()) % _MAX_ID + 1
            while number in taken:
                number = number % _MAX_ID + 1
            taken.add(number)
        ids[export.path] = number
    return ids


def render_config(exports: Iterable[Export], *, ids: Mapping[Path, int], run: Path, plugins: Path) -> str:
    """The whole configuration, in the order of paths."""
    blocks = [_render_export(each, ids[each.path]) for each in sorted(exports, key=lambda export: export.path)]
    return _HEAD.format(port=PORT, plugins=plugins, recovery=run / "ganesha") + "".join(blocks)


def read_ids(config: str) -> dict[Path, int]:
    """The export ids of a configuration that we rendered."""
    return {Path(_PATH.findall(block)[0]): int(_ID.findall(block)[0]) for block in _blocks(config)}


def read_grants(config: str) -> tuple[Grant, ...]:
    """The grants of a configuration that we rendered."""
    return tuple(
        Grant(Path(_PATH.findall(block)[0]), IPv4Network(network), _ACCESS.findall(block)[0] == "RW")
        for block in _blocks(config)
        for network in _CLIENTS.findall(block)[0].split(", ")
    )


def _blocks(config: str) -> list[str]:
    """The exports; a block that somebody damaged is none, and is written anew."""
    fields = (_ID, _PATH, _CLIENTS, _ACCESS)
    return [block for block in _BLOCK.findall(config) if all(field.search(block) for field in fields)]


# Graceless: clients hold no locks on a read-only root, and a grace period would keep all of them waiting after each
# restart.  Only_Numeric_Owners: the server has no accounts of the image's users.
_HEAD = """\
# Written by netboot; changes are overwritten.
NFS_CORE_PARAM {{
    NFS_Port = {port};
    Protocols = 4;
    Enable_NLM = false;
    Enable_RQUOTA = false;
    Enable_UDP = false;
    Clustered = false;
    Plugins_Dir = "{plugins}";
}}
NFSv4 {{
    Minor_Versions = 1, 2;
    Graceless = true;
    Only_Numeric_Owners = true;
    RecoveryBackend = fs;
    RecoveryRoot = "{recovery}";
}}
NFS_KRB5 {{
    Active_krb5 = false;
}}
LOG {{
    Default_Log_Level = EVENT;
    COMPONENTS {{
        DBUS = FATAL;
        NFS_CB = FATAL;
    }}
}}
"""


def _render_export(export: Export, number: int) -> str:
    networks = ", ".join(str(network) for network in export.networks)
    return f"""\
# {export.label}
EXPORT {{
    Export_Id = {number};
    Path = "{export.path}";
    Pseudo = "{export.path}";
    Access_Type = None;
    Squash = No_Root_Squash;
    SecType = sys;
    Protocols = 4;
    Transports = TCP;
    Disable_ACL = true;
    CLIENT {{
        Clients = {networks};
        Access_Type = {"RW" if export.writable else "RO"};
    }}
    FSAL {{
        Name = VFS;
    }}
}}
"""


def _plugins() -> Path:
    found = next((path for pattern in _PLUGINS for path in Path("/").glob(pattern.lstrip("/"))), None)
    if found is None or not shutil.which(PROGRAM):
        raise Unavailable("NFS-Ganesha is not installed", hint="apt-get install nfs-ganesha nfs-ganesha-vfs")
    return found.parent
