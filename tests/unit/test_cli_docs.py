"""docs/cli.md is what the program does: every verb, every option, every key of its JSON."""

from __future__ import annotations

import dataclasses
import re
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from typer.main import get_command

from netboot.cli import shapes
from netboot.cli.explain import Explanation, explanation_shape
from netboot.cli.image.shelf import Shelved, derived_shape, shelved_shape
from netboot.cli.main import make_app
from netboot.cli.reference import commands, update
from netboot.cli.standing import Standing
from netboot.cli.telling import ClientTelling
from netboot.config import DhcpMode
from netboot.errors import NetbootError
from netboot.exports.own_disk import OwnDisk
from netboot.images.boottests import BootTest
from netboot.images.comparing import Difference
from netboot.images.draft import Draft, DraftNote
from netboot.images.entries import FileEntry, Files, RootEntry
from netboot.images.fsck import Fault, Problem
from netboot.images.garbage import Piece, PieceKind
from netboot.images.history import Entry, Happening
from netboot.images.lint import Finding
from netboot.images.manifest import Manifest, Origin, OriginKind
from netboot.images.prepare import Action, Doing
from netboot.images.tags import Move, MoveKind
from netboot.lab.client import LabFirmware
from netboot.lab.config import LabDhcp
from netboot.lab.kvm import Accelerator
from netboot.lab.network import plan_lab
from netboot.lab.result import ClientResult, LabResult
from netboot.model.boot import Boot, Outcome, Verdict
from netboot.model.client import Client
from netboot.model.event import Event, EventKind
from netboot.model.image import Digest
from netboot.model.lease import Lease, LeaseState
from netboot.model.request import Firmware
from netboot.model.root import RootFormat
from netboot.model.strategy import Fingerprint, Strategy
from netboot.model.wishes import Wishes
from netboot.personal.belongings import Belongings
from netboot.personal.disks import DiskState
from tests.kit import MAC, make_version

PAGE = Path(__file__).parents[2] / "docs/cli.md"

EVENT = Event(at=1.0, kind=EventKind.UP, mac=MAC, id=1, boot=1)
BOOT = Boot(id=1, mac=MAC, events=(EVENT,))
VERDICT = Verdict(outcome=Outcome.UP, reached=EventKind.UP)
LEASE = Lease(address=IPv4Address("10.0.0.1"), mac=MAC, state=LeaseState.ACTIVE, expires_at=0.0)
TELLING = ClientTelling(
    strategy=Strategy.DIRECT,
    reason="",
    mode=DhcpMode.OWN,
    fingerprint=Fingerprint(Firmware.BIOS, 0, "52:54:00", ""),
    lesson=None,
)
DRAFT_NOTE = DraftNote(name="a", image="b", number=1, digest="", created_at=0.0, who="", note="")
SHELVED = Shelved(
    version=make_version(),
    manifest=Manifest(
        image="debian",
        number=1,
        origin=Origin(kind=OriginKind.RECIPE, name="debian"),
        created_at=0.0,
        arch="amd64",
        filesystem="ext4",
        kernel_version="6.1",
        files=Files(
            root=RootEntry(size_bytes=1),
            kernel=FileEntry(size_bytes=1, digest=Digest("0" * 64)),
            initrd=FileEntry(size_bytes=1, digest=Digest("0" * 64)),
        ),
    ),
    tags=(),
    stored_bytes=0,
    made_bytes=0,
    derived={RootFormat.EROFS: make_version().root},
)
MOVE = Move(tag="stable", kind=MoveKind.SET, number=1, before=None, at=0.0)
ENTRY = Entry(at=0.0, what=Happening.TAG_SET, number=1)
BOOT_TEST = BootTest(number=1, digest="", at=0.0, who="", firmware="", is_up=True, seconds=0.0)
EXPLANATION = Explanation(whose="", kind="", result="", reason="", hint="", rows=())


def lab_shape() -> Any:
    result = ClientResult(
        seat=plan_lab(1).seats[0],
        verdict=VERDICT,
        boot=BOOT,
        login_seen=True,
        seconds=1.0,
        console=Path("/c"),
        last_lines="",
    )
    return LabResult(
        firmware=LabFirmware.BIOS,
        dhcp=LabDhcp.OWN,
        accelerator=Accelerator.TCG,
        directory=Path("/d"),
        clients=(result,),
    ).as_json()


def draft_shape() -> Any:
    with TemporaryDirectory() as folder:
        draft = Draft(note=DRAFT_NOTE, folder=Path(folder))
        draft.disk.touch()
        return shapes.draft_shape(draft, is_mounted=False)


SHAPES = {
    "Client": shapes.client_shape(Client(mac=MAC, name="a")),
    "Belongings": shapes.belongings_shape(
        Belongings(mac=MAC, has_keys=True, size_bytes=None, taken_bytes=None, is_mounted=False), None
    ),
    "Own disk": shapes.disk_shape(
        DiskState(disk=OwnDisk(mac=MAC, image="a", number=1), size_bytes=1, taken_bytes=1, is_used=False), None
    ),
    "Telling": shapes.telling_shape(TELLING),
    "Explanation": explanation_shape(EXPLANATION),
    "Draft": draft_shape(),
    "Boot test": shapes.boot_test_shape("a", BOOT_TEST),
    "Difference": shapes.difference_shape(
        Difference(old=make_version(), new=make_version(number=2), files=(), packages=())
    ),
    "Change": shapes.action_shape(Action(path="", action=Doing.REMOVE, group="", why="")),
    "Finding": shapes.finding_shape(Finding(rule="", path="", why="")),
    "Version": shelved_shape(SHELVED),
    "Derived": derived_shape(RootFormat.EROFS, make_version().root),
    "Fault": shapes.fault_shape(Fault(problem=Problem.ORPHAN, path=Path("/x"), what=""), is_mended=False),
    "Piece": shapes.piece_shape(Piece(kind=PieceKind.OBJECT, name="", size_bytes=0)),
    "Move": shapes.move_shape("debian", MOVE),
    "Log entry": shapes.entry_shape("debian", ENTRY),
    "Standing": shapes.standing_shape(Standing(runs=None, outcome=None, next=None)),
    "Lease": shapes.lease_shape(LEASE, {}, now=0.0),
    "Event": shapes.event_shape(EVENT),
    "Boot": shapes.boot_story_shape(BOOT, VERDICT, None),
    "Verdict": shapes.verdict_shape(VERDICT),
    "Lab": lab_shape(),
    "Lab client": lab_shape()["clients"][0],
}
VERBS = {" ".join(path): command for path, command in commands(get_command(make_app()))}


@pytest.mark.parametrize("name", SHAPES)
def test_documented_keys_are_those_that_are_printed(name: str) -> None:
    section = re.search(rf"^### {name}\n(.*?)^#", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert section, f"docs/cli.md has no section {name}"
    documented = re.findall(r"^\| `(\w+)` \|", section.group(1), re.MULTILINE)
    assert documented == list(SHAPES[name])


def test_reference_is_up_to_date() -> None:
    page = PAGE.read_text()
    assert page == update(page), "run: python -m netboot.cli.reference docs/cli.md"


def test_commands_are_found() -> None:
    assert {"netboot serve", "netboot client add", "netboot boot show", "netboot lab boot", "netboot demo"} <= set(
        VERBS
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_manual(verb: str) -> None:
    text = VERBS[verb].help
    assert text
    assert len(text.splitlines()[0]) < 120
    for parameter in VERBS[verb].params:
        assert getattr(parameter, "help", None), f"{verb} {parameter.name} has no help"
    if verb not in ("netboot", "netboot version"):
        assert "Example" in text, verb
        assert "Exit codes:" in text, verb


@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS if re.search(r" (list|show|explain|events|fsck|check|lint)$", verb)]
)
def test_every_read_has_json(verb: str) -> None:
    assert "--json" in {name for parameter in VERBS[verb].params for name in parameter.opts}


def test_examples_in_the_manual_are_commands_with_options_that_exist() -> None:
    """Every `netboot ...` line of an example parses as far as its verb and options go."""
    for verb, command in VERBS.items():
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for line in re.findall(rf"^ +({verb} .*)$", command.help or "", re.MULTILINE):
            ours = line.split(" | ")[0].split(" && ")[0]
            assert set(re.findall(r"(?<!\S)--[a-z-]+", ours)) <= known, line


def test_every_exit_code_is_documented() -> None:
    kinds: list[type[NetbootError]] = [NetbootError, *NetbootError.__subclasses__()]
    codes = {kind.exit_code for kind in kinds}
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)}
    assert codes <= documented


def test_shapes_do_not_forget_a_field_of_a_client() -> None:
    assert set(SHAPES["Client"]) == {
        *(field.name for field in dataclasses.fields(Client) if field.name != "wishes"),
        *(field.name for field in dataclasses.fields(Wishes)),
    }
