"""An area of options on the wire: code, length and value, one after another (RFC 2132 section 2).

Reading stops where the area stops making sense and keeps what came before.  A code that occurs several times is
one long option, in the order of the wire, and a long value is written as neighbours of one code (RFC 3396).
"""

from __future__ import annotations

PAD, END = 0, 255
_LONGEST = 255


def option_spans(area: bytes, at: int) -> list[tuple[int, int, int]]:
    """Code, and where the value begins and ends, of each option of `area` from `at` on."""
    size = len(area)
    spans = []
    while at < size:
        code = area[at]
        if code == PAD:
            at += 1
            continue
        if code == END or at + 1 >= size:
            break
        start = at + 2
        at = start + area[at + 1]
        if at > size:
            break
        spans.append((code, start, at))
    return spans


def read_options(area: bytes, at: int, into: dict[int, bytes]) -> None:
    """Add the options of `area` from `at` on to `into`."""
    for code, start, end in option_spans(area, at):
        value = area[start:end]
        into[code] = into[code] + value if code in into else value


def write_option(code: int, value: bytes, parts: list[bytes]) -> None:
    """Append the bytes of one option to `parts`."""
    if len(value) <= _LONGEST:
        parts += bytes((code, len(value))), value
        return
    for start in range(0, len(value), _LONGEST):
        piece = value[start : start + _LONGEST]
        parts += bytes((code, len(piece))), piece


def options_size(values: list[bytes]) -> int:
    """The bytes that these values take as options, each code written once."""
    splits = sum((len(each) - 1) // _LONGEST for each in values if len(each) > _LONGEST)
    return 2 * (len(values) + splits) + sum(map(len, values))
