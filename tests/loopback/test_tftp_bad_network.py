"""Clients that nobody here wrote, where packets are lost, doubled and overtaken: the loader arrives all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.tftp.events import TransferKind
from tests.loopback.test_tftp_clients import fetch
from tests.loopback.tftp_kit import Relay, random_fate, serving, some_bytes

CLIENTS = ("curl", "curl-1468", "curl-without-options", "busybox", "busybox-1024", "tftp-hpa")
FATES = {
    "loses": {"loss": 0.02},
    "doubles": {"double": 0.5},
    "disorders": {"late": 0.05},
    "everything": {"loss": 0.01, "double": 0.05, "late": 0.02},
}


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("client", CLIENTS)
def test_the_loader_arrives(client: str, fate: str, tmp_path: Path) -> None:
    """Towards the server only ACKs can be lost, towards the client only DATA; each costs a timer at most."""
    content = some_bytes(60_000)
    to_client, to_server = random_fate(1, **FATES[fate]), random_fate(2, **FATES[fate])
    with serving({b"loader": content}) as served, Relay(served.port, to_client=to_client, to_server=to_server) as relay:
        assert fetch(client, relay.port, "loader", tmp_path / "got") == content
        served.wait_for(TransferKind.FINISHED)
        assert relay.to_client_count < 4 * (len(content) // 512 + 1) + 50
