"""Every kind of target in every loader's language, as text.

NETBOOT_UPDATE_GOLDEN=1 writes the files anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.boot.script import Renderer, ScriptContext, ScriptKind, has_script
from netboot.model.root import RootPlace
from netboot.model.san import SanUri
from netboot.model.target import BootTarget, DeniedTarget, LocalTarget, MenuTarget, SanTarget
from tests.kit import MAC, make_target, make_version

HERE = Path(__file__).parent / "scripts"
TEMPLATES = Path(__file__).parents[2] / "templates"
CONTEXT = ScriptContext(
    server=IPv4Address("10.9.0.1"),
    http_port=8080,
    root_of=lambda image: RootPlace(f"/var/lib/netboot/exports/{image.version.image}/{image.version.number}"),
)

IMAGE = replace(
    make_target(),
    hostname="lab-01",
    version=make_version("debian-minimal", 3),
    reason="client lab-01 is assigned debian-minimal",
    kernel_args=("quiet", "console=ttyS0,115200", "panic=10"),
)
TARGETS: dict[str, BootTarget] = {
    "image": IMAGE,
    "menu": MenuTarget(
        mac=MAC,
        entries=(IMAGE, replace(IMAGE, version=make_version("ubuntu-24.04", 12))),
        reason="unknown clients get a menu",
    ),
    "san": SanTarget(
        mac=MAC,
        hostname="lab-01",
        san=SanUri.parse("iscsi:10.9.0.2:6:3261:1:iqn.2010-04.org.example:till-2"),
        reason="client lab-01 boots from a disk with a loader of its own",
    ),
    "local": LocalTarget(mac=MAC, reason="client lab-01 boots from its disk"),
    "denied": DeniedTarget(
        mac=MAC,
        reason=f"client {MAC} is unknown",
        hint=f"add it: netboot client add {MAC} --name NAME --image IMAGE",
        known=False,
    ),
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ScriptKind for name in TARGETS if has_script(kind, TARGETS[name])]
)
def test_script(kind: ScriptKind, name: str) -> None:
    text = Renderer(TEMPLATES).render(kind, TARGETS[name], CONTEXT)
    golden = HERE / f"{kind}-{name}.txt"
    if os.environ.get("NETBOOT_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
    assert text.isascii()
    assert "\r" not in text
