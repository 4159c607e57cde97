"""What all interfaces share: the database, the images, the exports, and the way to tell what happened."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.boot.choose import BootPolicy
from netboot.boot.loaderfiles import LoaderFiles
from netboot.boot.loops import LoopWatch
from netboot.boot.progress import begins_boot
from netboot.config import Config
from netboot.config.paths import DataDir
from netboot.daemon.exporting import make_exporter, secrets_of
from netboot.daemon.learner import Learner
from netboot.daemon.policies import served_networks
from netboot.dhcp.ledger import Ledger
from netboot.exports.exporter import Exporter
from netboot.exports.plan import Export
from netboot.images.store import ImageStore
from netboot.model.event import Event
from netboot.model.lease import LeaseState
from netboot.model.mac import MacAddress
from netboot.personal.permission import Asker, is_lost
from netboot.personal.service import OwnData
from netboot.personal.volumes import Volumes
from netboot.personal.windows import BootWindows
from netboot.store import (
    ClientDirectory,
    ClientRepository,
    EventRecorder,
    EventRepository,
    LeaseRepository,
    StrategyRepository,
    installation_secret,
    open_database,
)
from netboot.system.neighbours import neighbour_at

log = logging.getLogger(__name__)

# Stands for a client that nobody added; the address is of the range for documentation (RFC 7042 section 2.1.2).
_NOBODY = MacAddress(bytes.fromhex("00005e005300"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Opened once, closed once; a reload changes none of them."""

    clients: ClientDirectory
    versions: ImageStore
    ledger: Ledger
    events: EventRepository
    recorder: EventRecorder
    loops: LoopWatch
    learner: Learner
    exporter: Exporter
    windows: BootWindows
    volumes: Volumes
    own_data: OwnData
    secret: bytes

    def tell(self, event: Event) -> None:
        """Record a client's event, with an alarm when it goes in a circle, and learn from it; from any thread."""
        self.windows.tell(event)
        self.loops.record(event)
        self.learner.tell(event)

    def lease_owner(self, address: IPv4Address) -> MacAddress | None:
        """Whose lease of ours an address is now."""
        lease = self.ledger.lease_at(address)
        if lease is None or lease.state is not LeaseState.ACTIVE or not lease.holds(time.time()):
            return None
        return lease.mac

    def holder(self, address: IPv4Address) -> Asker:
        """What is known of who has an address, by our leases and by the wire."""
        last = self.ledger.lease_at(address)
        return Asker(
            lease=self.lease_owner(address), neighbour=neighbour_at(address), last=None if last is None else last.mac
        )

    def lost_addresses(self) -> frozenset[tuple[MacAddress, IPv4Address]]:
        """Where what a client keeps may no longer be given."""
        held = self.volumes.addresses().items()
        return frozenset((mac, address) for mac, address in held if is_lost(mac, self.holder(address)))

    def boot_policy(self, config: Config, loaders: LoaderFiles) -> BootPolicy:
        return BootPolicy.of(config, clients=self.clients, versions=self.versions, loaders=loaders, secret=self.secret)

    def restore_volumes(self) -> tuple[Export, ...]:
        """Mount what clients may hang on that keep data; what of it is to be exported.  Blocks."""
        return self.volumes.restore(lambda mac, address: not is_lost(mac, self.holder(address)))


@contextmanager
def open_parts(config: Config, data: DataDir) -> Iterator[Parts]:
    """Open everything below the data directory; what was opened is closed in reverse, also on failure."""
    with ExitStack() as stack:
        engine = open_database(config.database or data.root)
        stack.callback(engine.dispose)
        # The story may lose its last moments to a power failure, so that its writing never holds up that of a lease.
        told = open_database(config.database or data.root, synchronous="NORMAL")
        stack.callback(told.dispose)
        events = EventRepository(told)
        recorder = stack.enter_context(EventRecorder(events, begins_boot))
        images = ImageStore(data.images)
        seed = installation_secret(engine)
        exporter = make_exporter(config, data, images, seed=seed)
        stack.callback(exporter.stop)
        clients = ClientDirectory(ClientRepository(engine))
        learner = Learner(
            StrategyRepository(told),
            is_named=lambda mac: clients.find(mac) is not None,
            record=recorder.record,
            sees_fetches=config.tftp.enabled,
        )
        stack.callback(learner.close)
        windows = BootWindows(events.latest_boot, time.time)
        volumes = Volumes(data.clients, data.exports, exporter.share)
        own_data = OwnData(data.clients, windows, volumes, chap_of=secrets_of(config, seed))
        stack.callback(own_data.close)
        yield Parts(
            clients=clients,
            versions=images,
            ledger=Ledger(LeaseRepository(engine), served_networks(config)),
            events=events,
            recorder=recorder,
            loops=LoopWatch(recorder.record),
            learner=learner,
            exporter=exporter,
            windows=windows,
            volumes=volumes,
            own_data=own_data,
            secret=seed,
        )
