"""The volumes of all clients: which are mounted, and for which address each is exported.

A volume is mounted when its client boots, at EXPORTS/.clients/MAC, and exported to the client's address alone; it stays
so while the daemon lives, and a note beside it lets the next daemon do the same before it answers anybody.  As soon
as the address is somebody else's, the export is withdrawn.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from netboot.errors import InvalidInput, NetbootError
from netboot.exports.plan import Export
from netboot.model.mac import MacAddress
from netboot.personal.volume import grows, is_mounted, make_volume, mount_volume, unmount_volume

log = logging.getLogger(__name__)

VOLUME = "volume.ext4"
_NOTE = "volume.json"
# Below the folder of exports.  No image is called so.
_MOUNTS = ".clients"


class Volumes:
    """Volumes in `clients`, a folder with one for each client, mounted below `exports`.

    `share` exports what it is given and nothing else, as `NfsExporter.share`.  Every method but `addresses` blocks; all
    may be called from any thread.
    """

    def __init__(self, clients: Path, exports: Path, share: Callable[[Sequence[Export]], None]) -> None:
        self._clients = clients
        self._exports = exports.resolve()
        self._share = share
        self._shared: dict[MacAddress, Export] = {}
        self._lock = threading.Lock()

    def addresses(self) -> Mapping[MacAddress, IPv4Address]:
        """Who has a volume at which address.  Returns at once."""
        return {mac: _address(export) for mac, export in self._shared.copy().items()}

    def restore(self, is_owner: Callable[[MacAddress, IPv4Address], bool]) -> tuple[Export, ...]:
        """Mount what was exported before, for clients that run with it, and whose address is still theirs.

        For a starting daemon, which exports what is returned; what cannot be mounted is told in the log.
        """
        with self._lock:
            for mac, export in self.noted().items():
                file = self._clients / mac.dashed / VOLUME
                if not is_owner(mac, _address(export)):
                    file.with_name(_NOTE).unlink(missing_ok=True)
                    continue
                try:
                    if not is_mounted(file, export.path):
                        self._mount(mac, 0)
                except (NetbootError, OSError) as error:
                    log.error("what client %s keeps cannot be had: %s", mac, error)
                    continue
                self._shared[mac] = export
            return tuple(self._shared.values())

    def noted(self) -> dict[MacAddress, Export]:
        """What was exported last, by this daemon or one before it."""
        found = {}
        for note in sorted(self._clients.glob(f"*/{_NOTE}")):
            address = _read_note(note)
            with suppress(InvalidInput):
                mac = MacAddress.parse(note.parent.name)
                if address is not None:
                    found[mac] = self._export(mac, address)
        return found

    def ensure(self, mac: MacAddress, address: IPv4Address, size_bytes: int) -> Path:
        """Make a client's volume, if it has none, and let it be mounted from this address alone; where it is exported.

        Raises `Unavailable` when it is damaged, or cannot be exported.
        """
        with self._lock:
            wanted = self._export(mac, address)
            # Whoever had this address has it no more.
            shared = {each: export for each, export in self._shared.items() if _address(export) != address} | {
                mac: wanted
            }
            file = self._clients / mac.dashed / VOLUME
            if not file.exists():
                make_volume(file, size_bytes)
            if not is_mounted(file, wanted.path) or grows(file, size_bytes):
                # A client that boots uses nothing of it.
                self._publish({each: export for each, export in shared.items() if each != mac})
                self._mount(mac, size_bytes)
            self._publish(shared)
            _write_note(self._clients / mac.dashed / _NOTE, address)
            return wanted.path

    def review(self, lost_addresses: Collection[tuple[MacAddress, IPv4Address]]) -> None:
        """Withdraw what is exported to an address that its client has lost, and what somebody has removed or moved.

        For the daemon to call every second or so.
        """
        with self._lock:
            removed = {mac for mac in self._shared if not (self._clients / mac.dashed / VOLUME).exists()}
            lost = {mac for mac, export in self._shared.items() if (mac, _address(export)) in lost_addresses}
            if not removed | lost:
                return
            for mac in lost - removed:
                log.warning(
                    "%s is no longer the address of client %s, so what it keeps is withdrawn from there",
                    _address(self._shared[mac]),
                    mac,
                )
            self._publish({mac: export for mac, export in self._shared.items() if mac not in removed | lost})

    def _publish(self, shared: dict[MacAddress, Export]) -> None:
        """Export these and no other; what is exported no more is neither mounted again nor kept mounted."""
        gone = self._shared.keys() - shared.keys()
        self._share(tuple(shared.values()))
        self._shared = shared
        for mac in gone:
            (self._clients / mac.dashed / _NOTE).unlink(missing_ok=True)
            unmount_volume(self._place(mac))

    def _mount(self, mac: MacAddress, size_bytes: int) -> None:
        (self._exports / _MOUNTS).mkdir(parents=True, exist_ok=True, mode=0o700)
        mount_volume(self._clients / mac.dashed / VOLUME, self._place(mac), size_bytes)

    def _place(self, mac: MacAddress) -> Path:
        return place_of_volume(self._exports, mac)

    def _export(self, mac: MacAddress, address: IPv4Address) -> Export:
        digits = hashlib.sha256(f"client {mac}".encode()).hexdigest()
        return Export(
            label=f"client {mac}",
            path=self._place(mac),
            networks=(IPv4Network(address),),
            fsid=f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}",
            writable=True,
        )


def place_of_volume(exports: Path, mac: MacAddress) -> Path:
    """Where a client's volume is mounted."""
    return exports / _MOUNTS / mac.dashed


def _address(export: Export) -> IPv4Address:
    return export.networks[0].network_address


def _read_note(note: Path) -> IPv4Address | None:
    try:
        return IPv4Address(json.loads(note.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_note(note: Path, address: IPv4Address) -> None:
    half = note.with_name(f".{note.name}")
    half.write_text(json.dumps({"address": str(address)}), encoding="utf-8")
    half.replace(note)
