"""Runs the real exporter with the real NFS-Ganesha, and prints what it saw as JSON.

`tests/lab/test_exports_ganesha.py` starts this in namespaces of its own (network, mounts, processes), so that the
port is free and nothing can stay behind.  Usage: exporter_in_namespace.py FOLDER SCENARIO
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from netboot.errors import NetbootError
from netboot.exports import nfs_ganesha
from netboot.exports.nfs_exporter import NfsExporter
from netboot.exports.nfs_ganesha import PORT, Ganesha
from netboot.images.measure import hash_file
from netboot.images.removal import remove_versions
from netboot.images.rootfiles import root_files
from netboot.images.store import ImageStore
from netboot.model.image import Artefact, Digest, Root, Version
from netboot.model.root import RootFiles, RootForm, RootFormat, RootMode
from netboot.system.loop import find_loop
from netboot.system.mounts import mounted
from tests.images_kit import publish_delta, publish_whole

NETWORKS = (IPv4Network("10.9.0.0/24"),)
HERE = (IPv4Network("127.0.0.0/8"),)
NFS_PROGRAM = 100003
TREE = RootForm(RootMode.NFS)
FILE = RootForm(RootMode.NFS_FILE, RootFormat.EXT4)


def make_version(folder: Path, number: int) -> Version:
    """A tiny version with a real file system in it."""
    content = folder / f"content-{number}"
    content.mkdir(parents=True, exist_ok=True)
    (content / "number").write_text(str(number))
    file = folder / f"{number}.ext4"
    if not file.exists():
        subprocess.run(
            ["mkfs.ext4", "-q", "-F", "-b", "4096", "-O", "^has_journal", "-d", content, file, "8M"], check=True
        )
    entry = hash_file(file)
    artefact = Artefact(path=file, size_bytes=entry.size_bytes, digest=entry.digest)
    return Version(
        image="tiny",
        number=number,
        digest=Digest(f"{number:064x}"),
        kernel_version="6.1",
        arch="amd64",
        filesystem="ext4",
        root=Root(path=file, size_bytes=entry.size_bytes, digest=entry.digest),
        kernel=artefact,
        initrd=artefact,
        created_at=0.0,
    )


def as_it_is(version: Version, format: RootFormat) -> RootFiles:
    return RootFiles(path=version.root.path)


def make_exporter(folder: Path, *, patience_s: float = 30.0) -> NfsExporter:
    (folder / "run").mkdir(exist_ok=True)
    return NfsExporter(
        Ganesha(folder / "run", patience_s=patience_s), root=folder / "exports", networks=NETWORKS, files_of=as_it_is
    )


def null_call(version: int) -> int:
    """ONC RPC's NULL procedure (RFC 5531) of the NFS program; the accept status, 0 when it is served."""
    call = struct.pack(">10I", 0x4E42, 0, 2, NFS_PROGRAM, version, 0, 0, 0, 0, 0)
    with socket.create_connection(("127.0.0.1", PORT), timeout=10) as server:
        server.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
        _, xid, kind, state, _, _, status = struct.unpack(">7I", server.recv(64)[:28])
    assert (xid, kind, state) == (0x4E42, 1, 0)
    return int(status)


def pid_of(folder: Path) -> int:
    return int((folder / "run/ganesha.pid").read_text())


def serves(folder: Path) -> Any:
    version = make_version(folder, 1)
    exporter = make_exporter(folder)
    before = exporter.served(version, TREE)
    export = exporter.ensure(version, TREE)
    mount = mounted(Path(export.place))
    assert mount is not None
    seen = {
        "served_before_and_after": [before is not None, exporter.served(version, TREE) == export],
        "path": export.place,
        "content": (Path(export.place) / "number").read_text(),
        "read_only": mount.read_only,
        "v4": null_call(4),
        "v3": null_call(3),
    }
    exporter.stop()
    return {
        **seen,
        "mounted_after_stop": mounted(Path(export.place)) is not None,
        "loop_after_stop": find_loop(version.root.path) is not None,
        "pid_file_after_stop": (folder / "run/ganesha.pid").exists(),
    }


def second_version(folder: Path) -> Any:
    """A version added while the server runs, and the same asked for again."""
    exporter = make_exporter(folder)
    exporter.ensure(make_version(folder, 1), TREE)
    before = pid_of(folder)
    exporter.ensure(make_version(folder, 2), TREE)
    exporter.ensure(make_version(folder, 2), TREE)
    log = (folder / "run/ganesha.log").read_text()
    seen = {
        "same_process": pid_of(folder) == before,
        "reloads": log.count("Reread exports complete"),
        "v4": null_call(4),
    }
    exporter.stop()
    return seen


def taken_over(folder: Path) -> Any:
    """The daemon is killed; a new one finds mount and server, and clients' export ids stay."""
    version = make_version(folder, 1)
    child = os.fork()
    if child == 0:
        make_exporter(folder).ensure(version, TREE)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    before, config = pid_of(folder), (folder / "run/ganesha.conf").read_text()
    exporter = make_exporter(folder)
    exporter.start([version])
    lines = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder / "exports") in line]
    seen = {
        "same_process": pid_of(folder) == before,
        "same_config": (folder / "run/ganesha.conf").read_text() == config,
        "mounts": len(lines),
        "v4": null_call(4),
    }
    exporter.stop()
    return {**seen, "listens_after_stop": _connects()}


def dies(folder: Path) -> Any:
    """The server dies; the daemon's watch starts it again."""
    exporter = make_exporter(folder)
    exporter.ensure(make_version(folder, 1), TREE)
    quiet = exporter.keep_up()
    os.kill(pid_of(folder), signal.SIGKILL)
    time.sleep(0.5)
    seen = {"quiet": quiet, "restarted": exporter.keep_up(), "v4": null_call(4)}
    exporter.stop()
    return seen


def port_taken(folder: Path) -> Any:
    exporter, version = make_exporter(folder), make_version(folder, 1)
    seen: dict[str, Any] = {}
    with socket.create_server(("0.0.0.0", PORT)):
        try:
            make_exporter(folder).start([])
        except NetbootError as error:
            seen = {"at_start": error.message}
        try:
            exporter.ensure(version, TREE)
        except NetbootError as error:
            seen |= {"message": error.message, "hint": error.hint}
        seen["mounted"] = mounted(folder / "exports/tiny/1") is not None
    exporter.ensure(version, TREE)
    seen = {**seen, "later": null_call(4)}
    exporter.stop()
    return seen


def as_a_file(folder: Path) -> Any:
    """The file of a published version, fetched by a client that is not ours, also once the version is removed."""
    # libnfs speaks 4.0 alone, which no client of ours needs.
    nfs_ganesha._HEAD = nfs_ganesha._HEAD.replace("Minor_Versions = 1, 2", "Minor_Versions = 0, 1, 2")
    store = ImageStore(folder / "images")
    version, newer = (publish_whole(store, "tiny", make_version(folder, number).root.path) for number in (1, 2))
    (folder / "run").mkdir(exist_ok=True)
    exporter = NfsExporter(
        Ganesha(folder / "run"), root=folder / "exports", networks=HERE, files_of=partial(root_files, store)
    )
    place = exporter.ensure(version, FILE)
    wanted = version.root.path.read_bytes()
    (folder / "secret").write_text("of nobody's business")
    listing = nfs("nfs-ls", str(Path(place.place).parent)).decode()
    seen: dict[str, Any] = {
        "place": place.place,
        "tree": place.tree,
        "has_root_hash": version.root.verity is not None and place.root_hash == version.root.verity.root_hash,
        "listed": sorted(line.split()[-1] for line in listing.splitlines()),
        "same_bytes": nfs("nfs-cat", place.place) == wanted,
        "outside": nfs("nfs-cat", str(folder / "secret")).decode(),
    }
    remove_versions(store, "tiny", [version], check=lambda: None)
    seen["same_bytes_when_removed"] = nfs("nfs-cat", place.place) == wanted
    exporter.stop()
    following = NfsExporter(
        Ganesha(folder / "run"), root=folder / "exports", networks=HERE, files_of=partial(root_files, store)
    )
    errors = following.start([newer])
    seen |= {"errors": len(errors), "kept": [str(each) for each in (folder / "exports").rglob("root.ext4")]}
    following.stop()
    return seen


def nfs(program: str, path: str) -> bytes:
    """What a program of libnfs says of a path on our server."""
    return subprocess.run([program, f"nfs://127.0.0.1{path}?version=4"], capture_output=True, timeout=60).stdout


def planned(folder: Path) -> Any:
    """What would be done, before and after it is done; asking does nothing of it."""
    version = make_version(folder, 1)
    exporter = make_exporter(folder)
    before = list(exporter.steps([version], [(version, TREE)]))
    untouched = not (folder / "run/ganesha.conf").exists() and not (folder / "exports").exists()
    exporter.ensure(version, TREE)
    after = list(make_exporter(folder).steps([version], []))
    exporter.stop()
    return {"before": before, "untouched": untouched, "after": after}


def undone(folder: Path) -> Any:
    """A second version that cannot be exported: the first is served on, and nothing is left of the second."""
    exporter = make_exporter(folder, patience_s=10.0)
    exporter.ensure(make_version(folder, 1), TREE)
    config = folder / "run/ganesha.conf"
    before, process = config.read_text(), pid_of(folder)
    os.kill(process, signal.SIGSTOP)  # so that it does not read its configuration again
    try:
        exporter.ensure(make_version(folder, 2), TREE)
        failed = ""
    except NetbootError as error:
        failed = error.message
    seen = {
        "failed": failed,
        "as_before": config.read_text() == before,
        "mounted": [mounted(folder / f"exports/tiny/{number}") is not None for number in (1, 2)],
    }
    os.kill(process, signal.SIGCONT)
    exporter.ensure(make_version(folder, 2), TREE)
    seen |= {"later": null_call(4), "same_process": pid_of(folder) == process}
    exporter.stop()
    return seen


def other_networks(folder: Path) -> Any:
    """The networks change while the server runs, as by a reload of the daemon."""
    exporter = make_exporter(folder)
    exporter.ensure(make_version(folder, 1), TREE)
    before, config = pid_of(folder), folder / "run/ganesha.conf"
    exporter.serve([IPv4Network("10.8.0.0/24")])
    exporter.ensure(make_version(folder, 2), TREE)
    text = config.read_text()
    seen = {
        "same_process": pid_of(folder) == before,
        "old_network": text.count("10.9.0.0/24"),
        "new_network": text.count("10.8.0.0/24"),
        "v4": null_call(4),
    }
    exporter.stop()
    return seen


def stored_as_changes(folder: Path) -> Any:
    """A version whose root has to be made first, and whose root is gone when the next daemon comes."""
    store = ImageStore(folder / "images")
    one = publish_whole(store, "tiny", make_version(folder, 1).root.path)
    two = publish_delta(store, one, make_version(folder, 2).root.path)
    seen: dict[str, Any] = {"there_at_first": two.root.path.exists()}
    for attempt in ("first", "next_daemon"):
        (folder / "run").mkdir(exist_ok=True)
        backend = Ganesha(folder / "run")
        exporter = NfsExporter(backend, root=folder / "exports", networks=NETWORKS, files_of=partial(root_files, store))
        errors = exporter.start([two])
        started = exporter.served(two, TREE) is not None
        export = exporter.ensure(two, TREE)
        seen[attempt] = [len(errors), started, (Path(export.place) / "number").read_text(), null_call(4)]
        exporter.stop()
        two.root.path.unlink()
    return seen


def _connects() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


SCENARIOS: Mapping[str, Callable[[Path], Any]] = {
    "serves": serves,
    "second-version": second_version,
    "taken-over": taken_over,
    "dies": dies,
    "port-taken": port_taken,
    "as-a-file": as_a_file,
    "planned": planned,
    "undone": undone,
    "other-networks": other_networks,
    "stored-as-changes": stored_as_changes,
}

if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sys.stdout.write(json.dumps(SCENARIOS[sys.argv[2]](Path(sys.argv[1]))))
