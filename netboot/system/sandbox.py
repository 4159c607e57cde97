"""Running what an image brings with it, as root of the image alone.

An image's own tools make its initrd and install its packages, and an imported image may be anybody's.  So they see
the image as their whole world (a mount namespace whose root is the tree, not a chroot, which root can leave), without
its device nodes, without the capabilities that reach the kernel or the disks, and without our network unless asked.
Processes and mounts are in namespaces that end with us, whatever way we end.

`python -m netboot.system.sandbox` is the first process inside; `run_in` and `call_in` are what the program uses.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from netboot.errors import NetbootError, NotPermitted, Unavailable
from netboot.system.apt import PROXIES, host_options
from netboot.system.commands import Completed, run, run_in_front, stream

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
}

# What is left of root's powers: those over files and processes of the image.  Not DAC_READ_SEARCH (files outside by
# their handle), MKNOD (our disks), SYS_ADMIN, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, NET_ADMIN, NET_RAW and the like.
_KEPT = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "SYS_CHROOT": 18,
    "AUDIT_WRITE": 29,
    "SETFCAP": 31,
}

# Device nodes that programs expect: name, minor number; all of major 1 and open to everybody.
_DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}

# invoke-rc.d(8): 101 forbids the action.
_NO_SERVICES = "#!/bin/sh\nexit 101\n"

_APT_CONF = "/run/netboot-apt.conf"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")

# <sched.h>, <sys/mount.h>, <sys/prctl.h>, <linux/capability.h>
_NEWNS, _NEWUTS, _NEWIPC, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_DETACH = 2
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS, _CAP_AMBIENT, _AMBIENT_CLEAR = 1, 24, 38, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


def argv_in(tree: Path, argv: Sequence[str], *, network: bool = False, terminal: bool = False) -> list[str]:
    """The words that run `argv` in the tree; it dies with us.  With `terminal` a person works in it."""
    flags = [*(["--network"] if network else []), *(["--terminal"] if terminal else [])]
    # fmt: off
    return [
        "setpriv", "--pdeathsig=KILL",
        "unshare", "--mount", "--pid", "--ipc", "--uts", *([] if network else ["--net"]), "--fork", "--kill-child",
        sys.executable, "-m", __name__, *flags, str(tree), *argv,
    ]
    # fmt: on


def run_in(
    tree: Path, argv: Sequence[str], *, timeout_s: float = 60.0, check: bool = True, hint: str | None = None
) -> Completed:
    """Run a program of the tree to its end, as `commands.run` does."""
    return run(argv_in(tree, argv), timeout_s=timeout_s, env=_import_path(), check=check, hint=hint)


def run_in_front_in(tree: Path, argv: Sequence[str]) -> int:
    """Run a program of the tree on our terminal and with our network, as `commands.run_in_front` does."""
    return run_in_front(argv_in(tree, argv, network=True, terminal=True), env=_import_path())


def stream_in(tree: Path, argv: Sequence[str], *, network: bool = False, hint: str | None = None) -> Iterator[str]:
    """Run a program of the tree and yield its lines as they come, as `commands.stream` does."""
    return stream(argv_in(tree, argv, network=network), env=_import_path(), hint=hint)


def call_in(tree: Path, action: Callable[[Path], object]) -> None:
    """Run a function of ours whose `/` is the tree, so that no link of the tree leads it out; its errors are raised.

    It runs in a child process: what it changes in memory is lost.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(tree, action, write_end)
    os.close(write_end)
    try:
        with os.fdopen(read_end, encoding="utf-8") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
        raise
    if status != 0:
        error = json.loads(said or "{}")
        raise NetbootError(error.get("message", f"the work in {tree} was killed"), hint=error.get("hint"))


def _be_child(tree: Path, action: Callable[[Path], object], pipe: int) -> None:
    """Never returns.  os._exit skips what our parent would do at its own end."""
    code = 1
    try:
        _libc.prctl(_PDEATHSIG, signal.SIGKILL)
        _unshare(_NEWNS | _NEWUTS | _NEWIPC | _NEWNET)
        _pivot(tree)
        _lay_down_powers()
        # A module that were imported only now would come from the tree.
        sys.path[:] = []
        sys.path_importer_cache.clear()
        action(Path("/"))
        code = 0
    except NetbootError as error:
        os.write(pipe, json.dumps({"message": error.message, "hint": error.hint}).encode())
    except BaseException as error:
        os.write(pipe, json.dumps({"message": f"{type(error).__name__}: {error}"}).encode())
    finally:
        os._exit(code)


def enter(tree: Path, *, network: bool, terminal: bool = False) -> None:
    """Make the tree the root of this process, which has a mount namespace to itself, and lay down its powers."""
    outside = (_resolver(), "\n".join(host_options(*PROXIES))) if network else None
    _pivot(tree)
    _furnish()
    if outside is not None:
        resolver, apt_conf = outside
        _give("/etc/resolv.conf", resolver, 0o644)
        Path(_APT_CONF).write_text(apt_conf + "\n", encoding="utf-8")
        # Packages are installed: what they bring must not be started.
        _give("/usr/sbin/policy-rc.d", _NO_SERVICES, 0o755)
    if terminal:
        _furnish_terminal()
    _lay_down_powers()


def _pivot(tree: Path) -> None:
    _mount(None, "/", None, _REC | _PRIVATE)
    # A device node of the image would be the machine's own device, whoever made it.
    _mount(str(tree), str(tree), None, _BIND)
    _mount(None, str(tree), None, _BIND | _REMOUNT | _NOSUID | _NODEV)
    os.chdir(tree)
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise Unavailable(f"images cannot be entered on {platform.machine()}")
    # With both at one place the old root lies on top of the new one and can be taken away, pivot_root(2).
    _checked(_libc.syscall(ctypes.c_long(number), b".", b"."), f"cannot enter {tree}")
    _checked(_libc.umount2(b".", _DETACH), "cannot leave the machine's own files")
    os.chdir("/")


def _furnish() -> None:
    """What programs expect of a running system.  Links of the tree resolve within it from here on."""
    for kind, place, flags in (
        ("proc", "/proc", _RDONLY | _NOSUID | _NODEV | _NOEXEC),
        ("sysfs", "/sys", _RDONLY | _NOSUID | _NODEV | _NOEXEC),
        ("tmpfs", "/dev", _NOSUID | _NOEXEC),
        ("tmpfs", "/run", _NOSUID | _NODEV),
    ):
        Path(place).mkdir(mode=0o755, exist_ok=True)
        _mount(kind, place, kind, flags, "mode=755" if kind == "tmpfs" else None)
    os.umask(0)
    for name, minor in _DEVICES.items():
        os.mknod(f"/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(1, minor))
    os.umask(0o022)
    for name, target in _LINKS.items():
        Path("/dev", name).symlink_to(target)
    for name in ("/dev/shm", "/run/lock"):  # noqa: S108 - of the tree's own fresh /dev
        Path(name).mkdir(mode=0o755)
        Path(name).chmod(0o1777)


def _resolver() -> str:
    with suppress(OSError):
        return Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
    return ""


def _furnish_terminal() -> None:
    os.umask(0)
    os.mknod("/dev/tty", stat.S_IFCHR | 0o666, os.makedev(5, 0))
    os.umask(0o022)
    Path("/dev/pts").mkdir()
    _mount("devpts", "/dev/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    Path("/dev/ptmx").symlink_to("pts/ptmx")


def _give(name: str, text: str, mode: int) -> None:
    """A file of ours in the place of the image's, for as long as this lasts: that is often a link into /run."""
    own = Path("/run", f"netboot-{Path(name).name}")
    own.write_text(text, encoding="utf-8")
    own.chmod(mode)
    place = Path(name).resolve()
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch(mode=0o644)
    _mount(str(own), str(place), None, _BIND)


def _lay_down_powers() -> None:
    _libc.prctl(_CAP_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    kept = sum(1 << number for number in _KEPT.values())
    for number in range(64):
        if not kept >> number & 1:
            _libc.prctl(_CAPBSET_DROP, number, 0, 0, 0)  # fails for those beyond the kernel's last
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Two halves of 32 bits, each effective, permitted, inheritable: nothing may be inherited past the bound.
    low = kept & 0xFFFFFFFF
    data = (ctypes.c_uint32 * 6)(low, low, 0, 0, 0, 0)
    _checked(_libc.capset(header, data), "cannot lay down root's powers")
    _checked(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "cannot renounce new powers")


def _unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "cannot make namespaces")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [None if each is None else os.fsencode(each) for each in (source, target, kind, data)]
    result = _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3])
    _checked(result, f"cannot mount {kind or source or 'what is'} at {target}")


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        text = f"{what}: {os.strerror(number)}"
        raise NotPermitted(text, hint="run it as root") if number == 1 else NetbootError(text)


def _import_path() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}


def main(words: Sequence[str]) -> int:
    """[--network] [--terminal] TREE PROGRAM...: become that program."""
    flags = {each for each in words[:2] if each in ("--network", "--terminal")}
    tree, *argv = words[len(flags) :]
    terminal = "--terminal" in flags
    network = "--network" in flags
    own = {"TERM": os.environ.get("TERM", "dumb")} if terminal else {"DEBIAN_FRONTEND": "noninteractive"}
    if network:
        own |= {"APT_CONFIG": _APT_CONF, **{name: os.environ[name] for name in _PROXIES if name in os.environ}}
    try:
        enter(Path(tree), network=network, terminal=terminal)
        os.execvpe(argv[0], argv, {**ENVIRONMENT, **own})  # noqa: S606 - a list, no shell
    except FileNotFoundError:
        print(f"the image has no program {argv[0]}", file=sys.stderr)  # noqa: T201 - the parent reads it
        return 127
    except NetbootError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 125


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
