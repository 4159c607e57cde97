"""Programs of an image that make its initrd.  One that is to boot from the network has our client side in it.

A new kind needs a frame in `netboot.initramfs`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from netboot.errors import InvalidInput
from netboot.initramfs import GENERATORS, INITRAMFS_TOOLS, Generator, find_generator

# Those that are known and have no frame of ours yet: program, name.
_OTHERS: Mapping[str, str] = {
    "usr/bin/mkinitcpio": "mkinitcpio",
    "usr/sbin/mkinitfs": "mkinitfs",
    "sbin/mkinitfs": "mkinitfs",
    "usr/bin/booster": "booster",
}


def choose_generator(has: Callable[[str], bool], *, uses_apt: bool) -> Generator:
    """The generator of a tree that `has` files; `InvalidInput` names what is there instead and what to do."""
    if generator := find_generator(has):
        return generator
    ours = " or ".join(GENERATORS)
    packages = ",".join(INITRAMFS_TOOLS.packages)
    install = f"install one with --packages {packages}" if uses_apt else f"install {ours} in it"
    other = next((name for program, name in _OTHERS.items() if has(program)), None)
    if other:
        raise InvalidInput(f"the image makes its initrd with {other}, and only {ours} are supported", hint=install)
    raise InvalidInput(f"the image has no program that makes an initrd ({ours})", hint=install)


def check_packages(generator: Generator, installed: Collection[str]) -> None:
    """`InvalidInput` when our client side lacks something; nothing can be said of an image without packages."""
    if lacking := [name for name in generator.packages if name not in installed] if installed else []:
        raise InvalidInput(
            f"the image lacks {', '.join(lacking)}, without which it cannot boot from the network",
            hint=f"install them with --packages {','.join(lacking)}",
        )
