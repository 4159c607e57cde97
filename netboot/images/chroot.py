"""A person's work in a system that does not run, and what the sandbox leaves in it.

Packages can be installed: the network and the name servers are this machine's, services are not started.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from netboot.system.beneath import exists_beneath, remove_empty_beneath
from netboot.system.sandbox import run_in_front_in

# Files over which the sandbox shows its own; where the system has none, an empty one stays.
_PLACES = ("etc/resolv.conf", "usr/sbin/policy-rc.d")


def enter(tree: Path, argv: Sequence[str]) -> int:
    """Run a program of the system in `tree` on our terminal; its exit status, 128 and more for signals.

    It and all that it starts end with us.
    """
    with _without_remains(tree):
        return run_in_front_in(tree, argv)


@contextmanager
def _without_remains(tree: Path) -> Iterator[None]:
    lacking = [name for name in _PLACES if not exists_beneath(tree, name)]
    yield
    for name in lacking:
        remove_empty_beneath(tree, name)
