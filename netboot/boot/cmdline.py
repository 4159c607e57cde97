"""The kernel line of a client: the words that our initramfs understands.

Every word is checked to be one word, so that nothing an admin or an image says can add a parameter by
smuggling in a blank.  The line is world-readable on the client (/proc/cmdline): it never holds a secret.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from netboot.errors import InvalidInput
from netboot.model.target import ImageTarget

_WORD = re.compile(r"[!#-&(-~]+")


def kernel_line(target: ImageTarget, *, server: IPv4Address, http_port: int, export_path: str) -> tuple[str, ...]:
    """The words of the kernel line, in order; `export_path` is the server's path of the version's NFS export.

    Raises `InvalidInput` for a word with a blank, a quote or anything but printable ASCII.
    """
    words = (
        "boot=netboot",
        f"BOOTIF={target.mac.bootif}",
        "ip=dhcp",
        f"netboot.root={target.root}:{server}:{export_path}",
        f"netboot.report=http://{server}:{http_port}/boot/{target.mac.dashed}/report",
        f"netboot.upper={target.upper_size}",
        f"netboot.shell={int(target.shell)}",
        f"systemd.hostname={target.hostname}",
        f"systemd.machine_id={target.machine_id}",
        *target.kernel_args,
    )
    for word in words:
        if not _WORD.fullmatch(word):
            raise InvalidInput(
                f"{word!r} cannot stand on a kernel line",
                hint="each kernel argument is one word of printable ASCII without blanks or quotes",
            )
    return words
