"""The BootTarget: what one client shall boot, as decided by `netboot.boot.choose`.

Renderers print it, DHCP and TFTP look at its kind only.  Each kind carries the reason it was chosen, in words
for `netboot client explain` and the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netboot.model.image import Version
from netboot.model.iscsi import initiator_name
from netboot.model.loader import Loader, LoaderChoice
from netboot.model.mac import MacAddress
from netboot.model.root import Persistence, RootForm, RootFormat, RootMode
from netboot.model.san import SanUri


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTarget:
    """Boot a version of an image.

    `root` to `persist_size` are as in `netboot.model.wishes`, and `files` folders with files for it, of which a later
    one wins over an earlier one.  `known` tells a client that somebody added, which alone may have secrets.
    `loader` is what was decided for the architecture that asked.
    `machine_id` is 32 hex digits, stable for the client.
    """

    mac: MacAddress
    hostname: str
    machine_id: str
    version: Version
    reason: str
    root: RootMode = RootMode.NFS
    loader: Loader = LoaderChoice.AUTO
    root_format: RootFormat = RootFormat.EXT4
    verify: bool = False
    upper: str = "50%"
    persistent: Persistence = Persistence.OFF
    kernel_args: tuple[str, ...] = ()
    shell: bool = False
    locale: str | None = None
    keyboard: str | None = None
    timezone: str | None = None
    host_keys: bool = False
    persist: tuple[str, ...] = ()
    persist_size: str = "1g"
    files: tuple[Path, ...] = ()
    known: bool = True

    @property
    def has_own(self) -> bool:
        """Whether there is anything of its own for it to fetch while it boots."""
        settings = self.locale or self.keyboard or self.timezone
        return bool(settings or self.host_keys or self.persist or self.files or self.root is RootMode.ISCSI)

    @property
    def has_own_disk(self) -> bool:
        """Whether its root is a disk that it alone has, and may write to."""
        return self.persistent is not Persistence.OFF

    @property
    def form(self) -> RootForm:
        """What of the version has to be exported for it."""
        return RootForm(self.root, None if self.root is RootMode.NFS else self.root_format)


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuTarget:
    """Let the person at the console choose among versions; after `timeout_s` the machine boots locally."""

    mac: MacAddress
    entries: tuple[ImageTarget, ...]
    reason: str
    timeout_s: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SanTarget:
    """Boot the loader of a disk that another server has, by iPXE, which alone can.

    What the disk holds is its own, so there is nothing that the client could be sent or would report later.
    """

    mac: MacAddress
    hostname: str
    san: SanUri
    reason: str
    loader: Loader = LoaderChoice.AUTO

    @property
    def initiator(self) -> str:
        """By which name the client logs in at the disk's server."""
        return initiator_name(self.hostname)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTarget:
    """Leave the network boot and go on with the firmware's next device."""

    mac: MacAddress
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedTarget:
    """Nothing is booted.  `hint` names the command that would change this."""

    mac: MacAddress
    reason: str
    hint: str
    known: bool


BootTarget = ImageTarget | SanTarget | MenuTarget | LocalTarget | DeniedTarget
