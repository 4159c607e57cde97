from __future__ import annotations

import pytest

from netboot.tftp.terms import Terms, negotiate


def agreed(options: dict[bytes, bytes], size: int | None = 1000, mtu: int = 1500) -> Terms:
    return negotiate(options, size=size, mtu=mtu)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (b"8", 8),
        (b"512", 512),
        (b"1428", 1428),
        (b"1468", 1468),
        (b"1469", 1468),  # 1500 - 32
        (b"65464", 1468),
        (b"7", None),
        (b"65465", None),
        (b"0", None),
        (b"-1", None),
        (b"+512", None),
        (b"5_12", None),
        (b" 512", None),
        ("\u0665\u0661\u0662".encode(), None),
        (b"9" * 4000, None),
        (b"", None),
    ],
)
def test_blksize(asked: bytes, answer: int | None) -> None:
    terms = agreed({b"blksize": asked})
    assert terms.blksize == (answer or 512)
    assert terms.oack == (((b"blksize", b"%d" % answer),) if answer else ())


@pytest.mark.parametrize(
    ("asked", "answer"), [(b"1", 1), (b"4", 4), (b"64", 64), (b"65535", 64), (b"0", None), (b"65536", None)]
)
def test_windowsize(asked: bytes, answer: int | None) -> None:
    terms = agreed({b"windowsize": asked})
    assert terms.window == (answer or 1)
    assert bool(terms.oack) == (answer is not None)


@pytest.mark.parametrize(("asked", "answer"), [(b"1", 1), (b"5", 5), (b"255", 255), (b"0", None), (b"256", None)])
def test_timeout_is_echoed_or_left_out(asked: bytes, answer: int | None) -> None:
    assert agreed({b"timeout": asked}).timeout_s == answer


def test_tsize_is_the_real_size_when_it_is_known() -> None:
    assert agreed({b"tsize": b"0"}, size=1 << 40).oack == ((b"tsize", b"1099511627776"),)
    assert agreed({b"tsize": b"0"}, size=0).oack == ((b"tsize", b"0"),)
    assert agreed({b"tsize": b"0"}, size=None).oack == ()


def test_only_what_was_asked_is_answered_in_the_clients_order() -> None:
    """Trap 0.12, and rule 4.13: what is unknown is left out."""
    options = {b"tsize": b"0", b"multicast": b"", b"blksize": b"1024", b"rollover": b"0", b"windowsize": b"4"}
    assert agreed(options).oack == ((b"tsize", b"1000"), (b"blksize", b"1024"), (b"windowsize", b"4"))
    assert agreed({}).oack == ()


def test_a_tiny_mtu_still_leaves_a_block() -> None:
    assert agreed({b"blksize": b"512"}, mtu=20).blksize == 8
