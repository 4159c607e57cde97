"""Courses of transfers as tables: at this time this packet comes, and this is the next step."""

from __future__ import annotations

import pytest

from netboot.tftp.packet import ErrorCode, ack, error
from netboot.tftp.terms import Terms
from netboot.tftp.transfer import Blocks, End, Signal, Step, Transfer

OACK = ((b"tsize", b"1"),)


def begun(size: int, *, window: int = 1, oack: bool = True, timeout_s: int | None = None) -> Transfer:
    terms = Terms(window=window, timeout_s=timeout_s, oack=OACK if oack else ())
    transfer = Transfer(size, terms)
    transfer.start(0.0)
    return transfer


def play(transfer: Transfer, *acks: int, at: float = 0.001, apart: float = 0.001) -> list[Step]:
    """The steps after these ACKs."""
    return [transfer.received(ack(number), at + index * apart) for index, number in enumerate(acks)]


def wait(transfer: Transfer) -> tuple[float, Step]:
    """Let the deadline pass: when, and the step then."""
    due = transfer.deadline
    return due, transfer.expired(due)


@pytest.mark.parametrize(
    ("size", "window", "acks", "steps"),
    [
        (1000, 1, (0, 1, 2), [Blocks(1, 2), Blocks(2, 3), End.FINISHED]),
        (1024, 1, (0, 1, 2, 3), [Blocks(1, 2), Blocks(2, 3), Blocks(3, 4), End.FINISHED]),
        (0, 1, (0, 1), [Blocks(1, 2), End.FINISHED]),
        (5000, 4, (0, 4, 8, 10), [Blocks(1, 5), Blocks(5, 9), Blocks(9, 11), End.FINISHED]),
        (1000, 64, (0, 2), [Blocks(1, 3), End.FINISHED]),
        # RFC 7440 section 4: an ACK inside the window restarts from it.
        (5000, 4, (0, 2, 6), [Blocks(1, 5), Blocks(3, 7), Blocks(7, 11)]),
        # RFC 1123 4.2.3.1: in lock-step a repeated ACK is not answered.
        (5000, 1, (0, 1, 1, 1, 2), [Blocks(1, 2), Blocks(2, 3), Signal.WAIT, Signal.WAIT, Blocks(3, 4)]),
        # From the past, from the future.
        (5000, 4, (0, 4, 3, 9, 65535, 8), [Blocks(1, 5), Blocks(5, 9), *[Signal.WAIT] * 3, Blocks(9, 11)]),
    ],
)
def test_courses(size: int, window: int, acks: tuple[int, ...], steps: list[Step]) -> None:
    assert play(begun(size, window=window), *acks) == steps


def test_options_are_acknowledged_before_data() -> None:
    transfer = Transfer(1000, Terms(oack=OACK))
    assert transfer.start(0.0) is Signal.SEND_OACK
    assert transfer.received(ack(1), 0.001) is Signal.WAIT
    assert transfer.received(ack(0), 0.002) == Blocks(1, 2)


def test_without_options_data_comes_at_once() -> None:
    transfer = Transfer(1000, Terms())
    assert transfer.start(0.0) == Blocks(1, 2)
    assert play(transfer, 0, 1, 2) == [Signal.WAIT, Blocks(2, 3), End.FINISHED]


@pytest.mark.parametrize("window", [1, 4, 64])
def test_numbers_wrap_from_65535_to_0(window: int) -> None:
    transfer = begun(512 * 65_600, window=window)
    step: Step = transfer.received(ack(0), 0.001)
    at, seen = 0.001, []
    while isinstance(step, Blocks):
        at += 0.001
        seen.append(step)
        step = transfer.received(ack((step.end - 1) % 65_536), at)
    assert step is End.FINISHED
    assert [block for first, end in seen for block in range(first, end)] == list(range(1, 65_602))


def test_a_gap_at_the_windows_start_is_repaired_once() -> None:
    transfer = begun(50_000, window=4)
    assert play(transfer, 0, at=0.010) == [Blocks(1, 5)]
    assert transfer.received(ack(4), 0.020) == Blocks(5, 9)
    assert transfer.received(ack(4), 0.0201) is Signal.WAIT  # too soon for a round trip: doubled on the way
    assert transfer.received(ack(4), 0.030) == Blocks(5, 9)
    assert transfer.received(ack(4), 0.040) is Signal.WAIT
    assert transfer.received(ack(8), 0.050) == Blocks(9, 13)
    assert transfer.retransmits == 4


def test_a_network_that_doubles_slides_the_window_instead_of_restarting_it() -> None:
    transfer = begun(50_000, window=8)
    assert play(transfer, 0, at=0.010) == [Blocks(1, 9)]
    assert transfer.received(ack(8), 0.020) == Blocks(9, 17)
    assert transfer.received(ack(10), 0.030) == Blocks(11, 19)  # a restart, as RFC 7440 wants it
    assert transfer.received(ack(12), 0.031) == Blocks(19, 21)  # no answer to that yet, so nothing was lost
    assert transfer.received(ack(14), 0.032) == Blocks(21, 23)
    assert transfer.received(ack(22), 0.042) == Blocks(23, 31)
    assert transfer.retransmits == 6


def test_doubles_that_come_as_slowly_as_answers_cannot_feed_restarts() -> None:
    """Every block is doubled, and every double makes the client acknowledge what it has, a round trip later."""
    blocks, window = 1000, 64
    transfer = begun(blocks * 512 - 1, window=window)
    steps = play(transfer, *range(blocks), at=0.010, apart=0.010)
    sent = sum(step.end - step.first for step in steps if isinstance(step, Blocks))
    assert sent <= 3 * blocks + 2 * window
    assert transfer.received(ack(blocks), 20.0) is End.FINISHED


def test_losses_that_a_network_has_restart_the_window_each_time() -> None:
    """One block of fifty, one after the other: none of them waits for the timer."""
    transfer = begun(100_000 * 512, window=64)
    acks = range(0, 49 * 400, 49)
    steps = play(transfer, *acks, at=0.010, apart=0.010)
    assert steps == [Blocks(acked + 1, acked + 65) for acked in acks]


def test_a_loss_in_a_sliding_window_is_repaired_by_the_timer_and_ends_the_sliding() -> None:
    transfer = begun(50_000, window=8)
    play(transfer, 0, at=0.010)
    transfer.received(ack(8), 0.020)
    transfer.received(ack(10), 0.030)
    assert transfer.received(ack(12), 0.031) == Blocks(19, 21)
    due, step = wait(transfer)
    assert step == Blocks(13, 21)
    assert due < 0.2
    assert transfer.received(ack(16), due + 0.010) == Blocks(17, 25)


def test_the_timer_follows_the_round_trip() -> None:
    transfer = begun(500_000)
    for block in range(20):
        transfer.received(ack(block), 0.001 * (block + 1))
    due, step = wait(transfer)
    assert step == Blocks(20, 21)
    assert 0.02 < due - 0.020 < 0.1, "a lost packet on a LAN waits well under 100 ms"


def test_a_slow_round_trip_is_not_hurried() -> None:
    transfer = begun(500_000)
    for block in range(20):
        transfer.received(ack(block), 0.4 * (block + 1))
    assert transfer.deadline - 8.0 > 0.4


def test_the_timer_backs_off_until_a_fresh_round_trip() -> None:
    """Karn's rule: else a client that has become slow would be sent everything twice for ever."""
    transfer = begun(500_000)
    for block in range(20):
        transfer.received(ack(block), 0.001 * (block + 1))
    resent = 0
    at = 0.020
    for block in range(20, 60):  # from now on it takes 100 ms
        while transfer.deadline < at + 0.1:
            resent += 1
            wait(transfer)
        at += 0.1
        transfer.received(ack(block), at)
    assert resent <= 6


def test_the_clients_interval_is_obeyed() -> None:
    transfer = begun(500_000, timeout_s=3)
    transfer.received(ack(0), 1.0)
    waits = [wait(transfer)[0] for _ in range(4)]
    assert waits == [4.0, 7.0, 10.0, 13.0]


def test_a_silent_client_is_given_up_after_half_a_minute_of_patience() -> None:
    """Rule 6.19: GRUB may stop for many seconds; rule 4.20: some seven tries."""
    transfer = begun(500_000)
    transfer.received(ack(0), 0.001)
    tries = 0
    while not isinstance((result := wait(transfer))[1], End):
        tries += 1
    assert result[1] is End.FAILED
    assert 30 < result[0] < 60
    assert tries == 7
    assert transfer.reason == "the client stopped answering"


@pytest.mark.parametrize("oack", [True, False])
def test_a_client_that_never_answers_costs_five_small_packets(oack: bool) -> None:
    """Rule 4.31: an OACK or one block of 512 bytes, and four repeats."""
    transfer = begun(500_000, window=64 if oack else 1, oack=oack)
    steps = []
    while not isinstance(step := wait(transfer)[1], End):
        steps.append(step)
    assert step is End.FAILED
    assert steps == [Signal.SEND_OACK if oack else Blocks(1, 2)] * 4
    assert transfer.reason == "the client never answered"


def test_the_last_ack_may_be_missing() -> None:
    """Rule 4.21."""
    silent, gone = begun(1000), begun(1000)
    for transfer in (silent, gone):
        assert play(transfer, 0, 1)[-1] == Blocks(2, 3)
    assert gone.refused() is End.FINISHED
    while not isinstance(step := wait(silent)[1], End):
        assert step == Blocks(2, 3)
    assert step is End.FINISHED


@pytest.mark.parametrize("code", [ErrorCode.OPTIONS, ErrorCode.UNDEFINED])
def test_an_abort_after_the_oack_is_a_size_probe(code: ErrorCode) -> None:
    """Trap 0.10 and rule 4.14."""
    assert begun(1000).received(error(code, "User aborted"), 0.001) is End.PROBED


def test_a_port_that_closes_after_the_oack_was_a_probe_of_the_size() -> None:
    assert begun(1000).refused() is End.PROBED
    assert begun(1000, oack=False).refused() is End.FAILED


def test_an_abort_later_is_a_failure_with_the_clients_words() -> None:
    transfer = begun(50_000)
    play(transfer, 0, 1, 2)
    assert transfer.received(error(ErrorCode.FULL, "disk full"), 0.1) is End.FAILED
    assert transfer.reason == "the client aborted: disk full (3)"


@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\x04\0", b"\0\x03\0\x01x", b"\0\x01a\0octet\0", b"\xff" * 40])
def test_other_packets_are_ignored(packet: bytes) -> None:
    transfer = begun(1000)
    assert transfer.received(packet, 0.001) is Signal.WAIT


def test_a_repeated_request_brings_the_first_packet_again_but_not_for_ever() -> None:
    transfer = begun(1000)
    steps = [transfer.repeated_request(0.1 * n) for n in range(1, 6)]
    assert steps == [*[Signal.SEND_OACK] * 4, End.FAILED]
    answered = begun(1000)
    answered.received(ack(0), 0.001)
    assert answered.repeated_request(0.002) is Signal.WAIT


def test_a_late_packet_of_a_lost_window_does_not_send_it_a_third_time() -> None:
    transfer = begun(50_000, window=4)
    play(transfer, 0, at=0.010)
    assert wait(transfer)[1] == Blocks(1, 5)
    assert transfer.received(ack(4), transfer.deadline) == Blocks(5, 9)
    assert transfer.retransmits == 4
