"""Access control lists: the kernel's bytes in an extended attribute, and the text that tar archives have of them.

Text is acl(5)'s long form, with numbers for names; star and libarchive write the number behind a name as well.  Names
alone are left out: whose they are, only the system in the archive would know.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

# Pax record: the extended attribute that it is the text of.
RECORDS: Mapping[str, str] = {
    "SCHILY.acl.access": "system.posix_acl_access",
    "SCHILY.acl.default": "system.posix_acl_default",
}

# <linux/posix_acl_xattr.h>: a version, then for each entry its tag, rights and id.
_VERSION = 2
_ENTRY = struct.Struct("<HHI")
_NOBODY = 0xFFFFFFFF

# Tag: the word for it, and whether it has an id.
_TAGS: Mapping[int, tuple[str, bool]] = {
    0x01: ("user", False),
    0x02: ("user", True),
    0x04: ("group", False),
    0x08: ("group", True),
    0x10: ("mask", False),
    0x20: ("other", False),
}
_NUMBERS = {words: tag for tag, words in _TAGS.items()}
_LINE = re.compile(r"(?:default:)?(user|group|mask|other):([^:]*):([-rwx]{3})(?::([0-9]{1,10}))?")


def text_of(value: bytes) -> bytes | None:
    """The text of a list; None for what is none."""
    if len(value) % _ENTRY.size != 4 or int.from_bytes(value[:4], "little") != _VERSION:
        return None
    lines = []
    for tag, rights, number in _ENTRY.iter_unpack(value[4:]):
        if tag not in _TAGS or rights > 7:
            return None
        word, has_id = _TAGS[tag]
        letters = "".join(letter if rights & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        lines.append(f"{word}:{number if has_id else ''}:{letters}")
    return ",".join(lines).encode()


def value_of(text: bytes) -> bytes | None:
    """The list of a text; None if it has names without numbers, or is none."""
    entries = []
    for line in re.split(r"[,\n]", text.decode("utf-8", "replace")):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        match = _LINE.fullmatch(words)
        if match is None:
            return None
        word, name, letters, number = match.groups()
        number = number or name
        if number and not re.fullmatch("[0-9]{1,10}", number):
            return None
        tag = _NUMBERS.get((word, bool(number)))
        if tag is None or int(number or 0) > _NOBODY:
            return None
        rights = sum(bit for letter, bit in zip(letters, (4, 2, 1), strict=True) if letter != "-")
        entries.append((tag, rights, int(number) if number else _NOBODY))
    # The kernel wants them in the order of their tags, and ids.
    entries.sort(key=lambda entry: (entry[0], entry[2]))
    return _VERSION.to_bytes(4, "little") + b"".join(_ENTRY.pack(*entry) for entry in entries)
