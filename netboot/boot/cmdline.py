"""The kernel line of a client: the words that our initramfs understands.

Every word is checked to be one word, so that nothing an admin or an image says can add a parameter by
smuggling in a blank.  The line is world-readable on the client (/proc/cmdline): it never holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address

from netboot.errors import InvalidInput
from netboot.model.iscsi import initiator_name
from netboot.model.root import RootMode, RootPlace
from netboot.model.target import ImageTarget

_WORD = re.compile(r"[!#-&(-~]+")


def kernel_line(target: ImageTarget, *, server: IPv4Address, http_port: int, root: RootPlace) -> tuple[str, ...]:
    """The words of the kernel line, in order; `root` is where `server` has the version.

    Raises `InvalidInput` for a word with a blank, a quote or anything but printable ASCII.
    """
    words = (
        "boot=netboot",
        f"BOOTIF={target.mac.bootif}",
        "ip=dhcp",
        f"netboot.root={target.root}:{server}:{root.place}",
        *_mounting(target, root),
        f"netboot.report=http://{server}:{http_port}/boot/{target.mac.dashed}/report",
        *((f"netboot.data=http://{server}:{http_port}/boot/{target.mac.dashed}/data",) if target.has_own else ()),
        "netboot.writable=1" if target.has_own_disk else f"netboot.upper={target.upper}",
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


def _mounting(target: ImageTarget, root: RootPlace) -> Iterator[str]:
    """What a client needs to know that mounts a file system itself."""
    if target.form.format is None:
        return
    yield f"netboot.fs={target.form.format}"
    if target.verify:
        if root.root_hash is None:
            raise InvalidInput(
                f"{target.version.label} has no dm-verity tree, so {target.hostname} cannot verify it",
                hint="build the image again, or let its clients go without: verify = false",
            )
        yield f"netboot.verity={root.root_hash.hex}"
        if root.tree is not None:
            yield f"netboot.tree={root.tree}"
    if target.root is RootMode.ISCSI:
        yield f"netboot.initiator={initiator_name(target.hostname)}"
