"""A Raspberry Pi's names: a folder of its own for each board, all of which are one here (rule 6.24).

Boards put their serial number before every name, or their MAC address with dashes, as their EEPROM says.  What is
behind such a name is the board's own: configuration, kernel line, kernel and initrd are those of its client, all else
is the firmware's.  A board takes the folder for missing when one file in it is, so nothing is there for a board that
boots nothing, and what is not there is said to be missing at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from netboot.boot.artefacts import INITRD, KERNEL
from netboot.boot.loaders import PI_FIRMWARE
from netboot.boot.script import ScriptKind
from netboot.errors import InvalidInput
from netboot.model.mac import MacAddress
from netboot.tftp.scripts import DASHED

_NAME = re.compile(rf"(?:(?:[0-9a-f]{{8}}|{DASHED})/(?P<file>.+)|(?P<first>{re.escape(PI_FIRMWARE)}))", re.IGNORECASE)

TEXTS = {"config.txt": ScriptKind.PI_CONFIG, "cmdline.txt": ScriptKind.PI_CMDLINE}
ARTEFACTS = frozenset({KERNEL, INITRD})


@dataclass(frozen=True, slots=True)
class PiName:
    """A board asks for `file`; `mac` None means that of whoever asks."""

    file: str
    mac: MacAddress | None = None

    @property
    def is_program(self) -> bool:
        """Whether it is what the board runs before a kernel: the first of it is its loader."""
        return self.file.endswith((".bin", ".elf"))


def pi_name(name: str) -> PiName | None:
    """What a board asks for by a name, None when that is no board's.

    The ROM of older boards asks for the first program at the root.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    if match["first"] is not None:
        return PiName(match["first"])
    try:
        mac = MacAddress.parse(match["mac"]) if match["mac"] is not None else None
    except InvalidInput:
        return None
    return PiName(match["file"], mac)
