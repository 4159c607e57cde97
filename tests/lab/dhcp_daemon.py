"""Runs a real `DhcpServer` over a real database, and prints each event as a line of JSON after the line `ready`.

Usage: python -m tests.lab.dhcp_daemon INTERFACE DATA_DIR own|proxy
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from netboot.config import DhcpMode
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.server import DhcpServer
from netboot.model.event import Event
from netboot.store.database import open_database
from netboot.store.leases import LeaseRepository
from tests.dhcp_kit import LAB, RESERVED, make_policy, serve_by


def tell(event: Event) -> None:
    line = {"kind": event.kind.value, "mac": str(event.mac), **event.details}
    print(json.dumps(line), flush=True)


async def serve(interface: str, data_dir: Path, mode: DhcpMode) -> None:
    ledger = Ledger(LeaseRepository(open_database(data_dir)))
    policies = serve_by(ledger, make_policy(LAB, RESERVED, mode=mode, interface=interface))
    server = DhcpServer(interface, lambda: policies, ledger, tell)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ledger.load()
    await server.start()
    print("ready", flush=True)
    await ended.wait()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), DhcpMode(sys.argv[3])))
