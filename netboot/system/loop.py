"""Loop devices: a file, or a part of it, as a block device, read-only unless asked for.

A device is set up in one step (LOOP_CONFIGURE, Linux 5.8) and clears itself (autoclear) once its last user is gone:
after the unmount, or with us if we die between attaching and mounting.  So nothing has to be remembered or detached.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netboot.errors import NetbootError, NotPermitted, Unavailable

CONTROL = Path("/dev/loop-control")
SYS_BLOCK = Path("/sys/block")

# <linux/loop.h>
_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_READ_ONLY, _AUTOCLEAR = 1, 4

# struct loop_config: fd, block_size, struct loop_info64 {5 u64, 4 u32 of which the last is lo_flags, file name[64],
# crypt name[64], key[32], 2 u64}, 8 reserved u64.
_CONFIG = struct.Struct("=II 5Q 4I 64s 64s 32s 2Q 8Q")

# Somebody else may take the free device between asking for it and configuring it.
_TRIES = 20


def loop_config(descriptor: int, name: str, *, writable: bool = False, offset: int = 0, size_bytes: int = 0) -> bytes:
    """The kernel's struct loop_config for a self-clearing device on an open file, read-only unless `writable`.

    The device has `size_bytes` of the file from `offset` on; 0 is to its end.
    """
    label = os.fsencode(name)[:63]
    flags = _AUTOCLEAR if writable else _READ_ONLY | _AUTOCLEAR
    place = (0, 0, 0, offset, size_bytes)
    return _CONFIG.pack(descriptor, 0, *place, 0, 0, 0, flags, label, b"", b"", *(0,) * 2, *(0,) * 8)


@contextmanager
def attached(file: Path, *, writable: bool = False) -> Iterator[Path]:
    """The loop device of `file`, new or existing; kept for this block, and beyond it while mounted.

    It is read-only, and then several may share it.  A `writable` one is always new.
    """
    device = None if writable else find_loop(file)
    descriptor = _open(device) if device else None
    if device is None or descriptor is None:
        device, descriptor = _attach(file, writable=writable)
    try:
        yield device
    finally:
        os.close(descriptor)


@contextmanager
def attached_part(file: Path, *, offset: int, size_bytes: int, writable: bool = False) -> Iterator[Path]:
    """A new loop device of these bytes of `file`, which no other gets to share, be they all of it.

    It is kept for this block, and beyond it while it is mounted or otherwise used.
    """
    device, descriptor = _attach(file, writable=writable, offset=offset, size_bytes=size_bytes)
    try:
        yield device
    finally:
        os.close(descriptor)


def find_loop(file: Path) -> Path | None:
    """The loop device that has `file` behind it, None if there is none.  One of a part is somebody's own."""
    wanted = str(file.resolve())
    for backing in SYS_BLOCK.glob("loop*/loop/backing_file"):
        loop = backing.parent
        try:
            if backing.read_text().rstrip("\n") == wanted and _is_whole(loop):
                return Path("/dev") / loop.parent.name
        except OSError:
            continue  # cleared while we looked
    return None


def _is_whole(loop: Path) -> bool:
    return all(int((loop / name).read_text()) == 0 for name in ("offset", "sizelimit"))


def _attach(file: Path, *, writable: bool = False, offset: int = 0, size_bytes: int = 0) -> tuple[Path, int]:
    """A free device configured for `file`, and an open descriptor that keeps it from clearing itself."""
    source = _open(file, writable=writable)
    try:
        for _ in range(_TRIES):
            device = _free_device()
            descriptor = _open(device, writable=writable)
            try:
                config = loop_config(source, str(file), writable=writable, offset=offset, size_bytes=size_bytes)
                fcntl.ioctl(descriptor, _LOOP_CONFIGURE, config)
                return device, descriptor
            except OSError as error:
                os.close(descriptor)
                if error.errno != errno.EBUSY:
                    raise NetbootError(f"cannot make {device} of {file}: {error.strerror}") from error
    finally:
        os.close(source)
    raise Unavailable(f"no loop device stayed free for {file}", hint="see losetup --list for who holds them")


def _open(file: Path, *, writable: bool = False) -> int:
    try:
        return os.open(file, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
    except PermissionError as error:
        raise NotPermitted(f"{file} may not be opened", hint="run it as root") from error
    except OSError as error:
        raise Unavailable(f"{file} cannot be opened: {error.strerror}", hint=f"look at it: ls -l {file}") from error


def _free_device() -> Path:
    try:
        control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Unavailable("the kernel has no loop devices", hint="modprobe loop") from error
    except PermissionError as error:
        raise NotPermitted("may not make loop devices", hint="run it as root") from error
    try:
        return Path(f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}")
    finally:
        os.close(control)
