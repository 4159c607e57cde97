"""`python -m bench.answers`: what a DHCP exchange costs in CPU time, step by step, without sockets.

The packets are the load client's, the answers the daemon's, and the leases go to a real database.  It is the quickest
way to see whether a change helps; `make bench` then tells whether it matters.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from bench.place import CLIENTS, SERVER
from bench.servers import make_files, netboot_config, publish
from netboot.boot.choose import BootPolicy
from netboot.boot.loaderfiles import LoaderFiles
from netboot.config import parse_config
from netboot.daemon.pauses import spare_pauses
from netboot.daemon.places import Place
from netboot.daemon.policies import dhcp_policies
from netboot.dhcp.batch import Batch, take
from netboot.dhcp.decision import Arrival
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.message import Message, MessageType, decode, encode
from netboot.dhcp.packets import Packet
from netboot.dhcp.policy import Policies
from netboot.dhcp.stencils import Stencils
from netboot.images.store import ImageStore
from netboot.store import ClientDirectory, ClientRepository, LeaseRepository, open_database

Options = Mapping[int, bytes]

# As in load.c: an ordinary DHCP client, and UEFI firmware that boots over PXE; both through a relay.
ORDINARY: Options = {55: bytes((1, 3, 6, 12, 15, 43, 54, 60, 66, 67, 97)), 57: b"\x05\xc0"}
PXE: Options = {**ORDINARY, 60: b"PXEClient:Arch:00007:UNDI:003016", 93: b"\0\x07", 94: b"\x01\x03\x10", 97: bytes(17)}
KINDS: Mapping[str, Options] = {"ordinary": ORDINARY, "pxe": PXE}
RELAY = Arrival(source=(IPv4Address(CLIENTS), 67), destination=IPv4Address(SERVER))
NOW = 1e9


@dataclass(frozen=True)
class Daemon:
    """As much of it as answers packets."""

    policies: Policies
    ledger: Ledger
    leases: LeaseRepository
    stencils: Stencils | None


@dataclass
class Meter:
    """CPU time by step, in microseconds an exchange, and a profile of it all when one is wanted."""

    exchanges: int
    profile: cProfile.Profile | None
    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        if self.profile is not None:
            self.profile.enable()
        before = time.process_time()
        yield
        self.steps[name] = (time.process_time() - before) * 1e6 / self.exchanges
        if self.profile is not None:
            self.profile.disable()


@contextmanager
def daemon(*, stencils: bool) -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_files(home)
        publish(ImageStore(home / "images"), home)
        engine = open_database(home)
        config = parse_config(netboot_config())
        clients, leases = ClientDirectory(ClientRepository(engine)), LeaseRepository(engine)
        subnet = config.subnet[0]
        ledger = Ledger(leases, [subnet.network])
        place = Place(
            interface=config.interface[0],
            index=1,
            address=IPv4Address(SERVER),
            other_addresses=frozenset(),
        )
        boot = BootPolicy.of(
            config, clients=clients, versions=ImageStore(home / "images"), loaders=LoaderFiles(), secret=b"s"
        )
        policies = dhcp_policies(
            place, config, boot=boot, clients=clients, ledger=ledger, http_port=config.http.port, strategies={}
        )
        yield Daemon(policies, ledger, leases, Stencils() if stencils else None)
        engine.dispose()


def packet(number: int, kind: MessageType, asker: Options, more: Options) -> Packet:
    own = {97: b"\0\1\2\3" + number.to_bytes(14, "big")} if 97 in asker else {}
    message = Message(
        hops=1,
        xid=number,
        giaddr=IPv4Address(CLIENTS),
        chaddr=b"\x52\x54" + number.to_bytes(4, "big") + bytes(10),
        options={53: bytes((kind,)), **more, **asker, **own},
    )
    return Packet(encode(message), RELAY)


def measure(
    asker: Options, *, machines: int, batch_size: int, stencils: bool, profile: cProfile.Profile | None
) -> Meter:
    meter = Meter(machines, profile)
    with daemon(stencils=stencils) as served:
        spare_pauses()
        if served.stencils is not None:
            served.stencils.refresh(served.policies, NOW)

        def answer(packets: Sequence[Packet]) -> Batch:
            batch = Batch()
            for each in packets:
                batch.replies += take(each, served.policies, served.ledger, NOW, batch, served.stencils)
            return batch

        discovers = [packet(number, MessageType.DISCOVER, asker, {}) for number in range(machines)]
        with meter.step("DISCOVER"):
            offers = answer(discovers).replies
        requests = []
        for number, offer in enumerate(offers):
            message = decode(offer.payload)
            taken = {50: message.yiaddr.packed, 54: message.options[54]}
            requests.append(packet(number, MessageType.REQUEST, asker, taken))
        with meter.step("REQUEST"):
            batches = [answer(requests[at : at + batch_size]) for at in range(0, machines, batch_size)]
        with meter.step("commit"):
            for batch in batches:
                served.leases.commit(batch.leases)
    return meter


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.answers", description=__doc__)
    parser.add_argument("--machines", type=int, default=4000, help="exchanges a round (4000)")
    parser.add_argument("--batch", type=int, default=50, help="leases a commit (50)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the quickest counts (5)")
    parser.add_argument("--no-stencils", action="store_true", help="answer each packet on its own")
    parser.add_argument("--profile", choices=KINDS, help="print where the time goes for this kind of client instead")
    options = parser.parse_args(argv)
    profile = cProfile.Profile() if options.profile else None
    for name in [options.profile] if options.profile else KINDS:
        rounds = [
            measure(
                KINDS[name],
                machines=options.machines,
                batch_size=options.batch,
                stencils=not options.no_stencils,
                profile=profile,
            ).steps
            for _ in range(1 if profile else options.rounds)
        ]
        best = {step: min(each[step] for each in rounds) for step in rounds[0]}
        print(f"{name:10}", *(f"{step} {value:.1f} us" for step, value in best.items()), sep="  ")
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
