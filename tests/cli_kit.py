"""Running the command line in tests, and small images for it to work on."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netboot.boot.progress import begins_boot
from netboot.cli.main import main
from netboot.images.store import ImageStore
from netboot.model.event import Detail, Event, EventKind
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.store import EventRecorder, EventRepository, open_database
from tests.images_kit import publish_whole
from tests.kit import MAC

NETBOOT = (sys.executable, "-m", "netboot")
CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command gave."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True)
class Cli:
    """The command line on one data directory, within this process."""

    data_dir: Path

    def __call__(self, *words: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["--data-dir", str(self.data_dir), *words])
        return Ran(code, out.getvalue(), err.getvalue())

    def ok(self, *words: str) -> Ran:
        ran = self(*words)
        assert ran.code == 0, ran.stderr
        return ran


def publish_image(
    data_dir: Path, image: str = "debian", *, arch: str = "amd64", fill: Callable[[Path], None] | None = None
) -> Version:
    """A published version with files that hold next to nothing, or what `fill` puts into its folder."""
    return publish_whole(ImageStore(data_dir / "images"), image, fill=fill, arch=arch)


def tell(data_dir: Path, *events: tuple[EventKind, float, dict[str, Detail]], mac: MacAddress | None = MAC) -> None:
    """Record events as the daemon does."""
    engine = open_database(data_dir)
    with EventRecorder(EventRepository(engine), begins_boot) as recorder:
        for kind, at, details in events:
            recorder.record(Event(at=at, kind=kind, mac=mac, details=details))
    engine.dispose()


def environ(**more: str) -> dict[str, str]:
    """The environment of a `netboot` process: nothing of ours but what the test gives."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NETBOOT_")}
    return {**kept, "PYTHONPATH": str(CHECKOUT), "COLUMNS": "80", **more}


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere, so the right has to be laid down for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def open_to_all(directory: Path) -> None:
    """Let everybody read a test's directory and look through those above it."""
    for path in (directory, *directory.rglob("*"), *directory.parents):
        if path.stat().st_uid == os.geteuid() and "pytest" in str(path):
            path.chmod(0o755)
