"""Which machines a program is for, by its ELF header."""

from __future__ import annotations

from collections.abc import Mapping

# e_machine of <elf.h>, with the byte size where one number stands for two.
_MACHINES: Mapping[tuple[int, int], str] = {
    (62, 2): "amd64",
    (3, 1): "i386",
    (183, 2): "arm64",
    (40, 1): "armhf",
    (243, 2): "riscv64",
    (22, 2): "s390x",
    (21, 2): "ppc64el",
}
HEADER_BYTES = 20


def arch_of(header: bytes) -> str | None:
    """`amd64`, `arm64`, ...; None for what is no program, or for a machine without a name here."""
    if header[:4] != b"\x7fELF" or len(header) < HEADER_BYTES:
        return None
    order = "big" if header[5] == 2 else "little"
    return _MACHINES.get((int.from_bytes(header[18:20], order), header[4]))  # type: ignore[arg-type]
