"""What is taken for a desktop, and the picture that is kept of it."""

from __future__ import annotations

import random
import struct
import zlib

import pytest

from netboot.errors import InvalidInput
from netboot.lab.screen import Screen

WIDTH, HEIGHT = 320, 240


def screen(colour: bytes = b"\0\0\0") -> bytearray:
    return bytearray(colour * (WIDTH * HEIGHT))


def text(pixels: bytearray, seed: int = 1) -> bytearray:
    """Letters of a console: dots in some of its sixteen colours, on most lines."""
    dice = random.Random(seed)
    palette = [bytes((red, green, blue)) for red in (0, 170) for green in (0, 170) for blue in (0, 170, 255)]
    for at in range(0, len(pixels), 3):
        if dice.random() < 0.3:
            pixels[at : at + 3] = dice.choice(palette)
    return pixels


def wallpaper(pixels: bytearray) -> bytearray:
    """A picture with a gradient, and a panel in one colour along the top."""
    for line in range(HEIGHT):
        for column in range(WIDTH):
            at = 3 * (line * WIDTH + column)
            pixels[at : at + 3] = b"\x30\x30\x30" if line < 20 else bytes((line, column % 256, (line * column) % 256))
    return pixels


def show(pixels: bytearray) -> Screen:
    return Screen.parse(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + bytes(pixels))


def test_a_desktop_is_more_than_text() -> None:
    assert show(wallpaper(screen())).has_desktop()
    assert not show(screen()).has_desktop()
    assert not show(screen(b"\x20\x40\x80")).has_desktop()
    assert not show(text(screen())).has_desktop()


def test_a_picture_in_a_corner_of_nothing_is_no_desktop_yet() -> None:
    pixels = screen()
    for line in range(40):  # a cursor, a small logo
        start = 3 * line * WIDTH
        pixels[start : start + 120] = random.Random(line).randbytes(120)
    assert not show(pixels).has_desktop()


def test_the_png_holds_the_same_pixels() -> None:
    pixels = wallpaper(screen())
    png = show(pixels).png()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(name + content)
        chunks[name], at = content, at + 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert chunks[b"IHDR"] == struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    lines = zlib.decompress(chunks[b"IDAT"])
    row = 3 * WIDTH + 1
    assert b"".join(lines[start + 1 : start + row] for start in range(0, len(lines), row)) == bytes(pixels)
    assert set(lines[::row]) == {0}


@pytest.mark.parametrize(
    "data", [b"", b"P5\n1 1\n255\n\0", b"P6\n2 2\n255\n\0\0\0", b"P6\n0 0\n255\n", b"P6\n1 1\n65535\n123456"]
)
def test_what_is_no_such_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        Screen.parse(data)
