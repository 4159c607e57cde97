"""Programs inside a system that is not running: what they expect around them, and nothing of ours more than that.

They see processes, devices and a /run of their own, our network and our name servers.  No service is started by the
packages that are installed.  What is put into the system for that goes again; the mounts are the caller's
(`netboot.system.mounts.private_mounts`) and go with them.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from netboot.errors import NetbootError
from netboot.system.commands import run, run_in_front
from netboot.system.mounts import bind, bind_read_only, mount_writable, unmount

_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_RESOLV_CONF = Path("/etc/resolv.conf")
_APT_CONF = "run/netboot-apt.conf"
# Options of this machine's apt without which it may not reach its mirror.
_APT_CARRIED = ("Acquire::http::Proxy", "Acquire::https::Proxy")
# invoke-rc.d(8): 101 forbids the action.
_NO_SERVICES = "#!/bin/sh\nexit 101\n"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CARRIED = ("TERM", "COLORTERM", "http_proxy", "https_proxy", "no_proxy")


def enter(tree: Path, argv: Sequence[str]) -> int:
    """Run a program in `tree` on our terminal, as root with that system's root; its exit status.

    It and all that it starts end with us.  128 and more stand for signals, as in a shell.
    """
    with furnished(tree):
        return run_in_front([*walls(tree), *argv], env=environment(tree), clean=True)


@contextmanager
def furnished(tree: Path) -> Iterator[None]:
    """Give the system in `tree` devices, /run, /sys, name servers and a rule against services, for this block."""
    with ExitStack() as undo:
        _furnish_dev(tree / "dev", undo)
        _mount_folder("tmpfs", tree / "run", undo)
        _show(Path("/sys"), tree / "sys", undo)
        (tree / _APT_CONF).write_text("\n".join(host_apt_options()) + "\n", encoding="utf-8")
        _put_resolv_conf(tree, undo)
        _put(tree, tree / "usr/sbin/policy-rc.d", _NO_SERVICES, 0o755, undo)
        yield


def walls(tree: Path) -> list[str]:
    """The words before a program that is to run in `tree`, with processes of its own, which die with us."""
    # fmt: off
    return [
        "setpriv", "--pdeathsig=KILL",
        "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", f"--mount-proc={tree / 'proc'}",
        "chroot", str(tree),
    ]
    # fmt: on


def environment(tree: Path) -> dict[str, str]:
    """What programs in `tree` find in their environment: nothing of ours that is not needed."""
    own = {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_CHROOT": tree.parent.name, "SYSTEMD_OFFLINE": "1"}
    carried = {name: os.environ[name] for name in _CARRIED if name in os.environ}
    return {**own, **carried, "APT_CONFIG": f"/{_APT_CONF}"}


def host_apt_options() -> list[str]:
    """How this machine's apt reaches its mirror, as lines of apt.conf(5)."""
    if not shutil.which("apt-config"):
        return []
    lines = run(["apt-config", "dump"]).stdout.splitlines()
    return [line for line in lines if line.startswith(_APT_CARRIED) and not line.endswith(' "";')]


def _furnish_dev(dev: Path, undo: ExitStack) -> None:
    _mount_folder("tmpfs", dev, undo, "mode=755")
    for name in _NODES:
        (dev / name).touch()
        _show(Path("/dev") / name, dev / name, undo)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    (dev / "shm").mkdir()
    (dev / "pts").mkdir()
    _mount_folder("devpts", dev / "pts", undo, "newinstance,ptmxmode=0666,mode=620")


def _mount_folder(kind: str, where: Path, undo: ExitStack, options: str = "") -> None:
    _check_folder(where)
    mount_writable(kind, where, fstype=kind, options=options, with_devices=kind == "devpts")
    undo.callback(unmount, where, lazy=True)


def _show(source: Path, where: Path, undo: ExitStack) -> None:
    if source.is_dir():
        _check_folder(where)
        bind_read_only(source, where)
    else:
        bind(source, where)
    undo.callback(unmount, where, lazy=True)


def _check_folder(where: Path) -> None:
    """A link in the system must not lead our mounts out of it."""
    if not stat.S_ISDIR(where.lstat().st_mode):
        raise NetbootError(f"{where} is not a folder", hint="a Linux system has one there; is this one whole?")


def _put_resolv_conf(tree: Path, undo: ExitStack) -> None:
    """Our name servers, where the system looks for them: at a link's end below /run, else in /etc itself."""
    ours = _RESOLV_CONF.read_text(encoding="utf-8") if _RESOLV_CONF.exists() else ""
    place = tree / "etc/resolv.conf"
    if not place.is_symlink():
        _put(tree, place, ours, 0o644, undo)
        return
    target = os.path.normpath("/etc" / place.readlink())
    if target.startswith("/run/"):
        end = tree / target.removeprefix("/")
        end.parent.mkdir(parents=True, exist_ok=True)
        end.write_text(ours, encoding="utf-8")


def _put(tree: Path, place: Path, text: str, mode: int, undo: ExitStack) -> None:
    """A file in the system for a while, over whatever is there; the system's own stays as it is."""
    if not place.parent.is_dir() or place.parent.is_symlink() or place.is_symlink():
        return
    ours = tree / "run" / f"netboot-{place.name}"
    ours.write_text(text, encoding="utf-8")
    ours.chmod(mode)
    if not place.exists():
        place.touch(mode=mode)
        undo.callback(place.unlink, missing_ok=True)
    bind(ours, place)
    undo.callback(unmount, place, lazy=True)
