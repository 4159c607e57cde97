"""GRUB's own parser reads what we render (package grub-common)."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.boot.script import Renderer, ScriptContext, ScriptKind
from netboot.model.root import RootPlace
from netboot.model.target import DeniedTarget, LocalTarget, MenuTarget
from tests.kit import MAC, cannot_run, make_target

CONTEXT = ScriptContext(server=IPv4Address("10.9.0.1"), http_port=8080, root_of=lambda image: RootPlace("/srv"))
NASTY = "'; reboot; echo '${root} \"$(x)\" }\n{ || && `\\"
IMAGE = replace(make_target(), reason=NASTY, kernel_args=("a;b", "{", "}", "|", "&&", "#", "a=<b>", "!"))
TARGETS = (
    IMAGE,
    MenuTarget(mac=MAC, entries=(IMAGE, IMAGE), reason=NASTY),
    LocalTarget(mac=MAC, reason=NASTY),
    DeniedTarget(mac=MAC, reason=NASTY, hint=NASTY, known=True),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: type(target).__name__)
def test_grub_reads_every_script(target: object) -> None:
    if shutil.which("grub-script-check") is None:
        cannot_run("grub-script-check is not installed (package grub-common)")
    assert isinstance(target, type(IMAGE) | MenuTarget | LocalTarget | DeniedTarget)
    renderer = Renderer(Path(__file__).parents[2] / "templates")
    script = renderer.render(ScriptKind.GRUB, target, CONTEXT)
    done = subprocess.run(["grub-script-check", "/dev/stdin"], input=script, text=True, capture_output=True, timeout=10)
    assert done.returncode == 0, done.stderr + script
