"""One transfer's course, without sockets and without a clock: bytes and times go in, what to send comes out.

The rules it keeps.  Block numbers are counted without end here and wrap to 16 bits on the wire (65535, then 0).
An acknowledgement inside the window restarts from it (RFC 7440 section 4), unless the one before it came too
soon to be an answer to that restart: then the network doubles packets, the client has lost nothing, and the window
slides on instead, since restarts would only feed the doubling.  Doubles that are slow, on a busy machine or a long
way, look like answers in time; so whatever restarts send again has to be earned by blocks that arrive.  A repeated
acknowledgement never sends the next block again in lock-step (RFC 1123 section 4.2.3.1, the "Sorcerer's
Apprentice"); in a window it is the sign of a gap and is answered once.  The timer follows the round trip (RFC 6298)
unless the client asked for an interval of its own (RFC 2349).  Before the first acknowledgement only one small
packet and four repeats go out, so that a forged source address gains little.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from netboot.tftp.packet import Error, ErrorCode, Opcode, PacketError, ack, decode
from netboot.tftp.terms import Terms


class Blocks(NamedTuple):
    """Send these blocks, counted from 1; `end` is not included."""

    first: int
    end: int


class Signal(Enum):
    """What else there is to do: send the OACK (again), or wait."""

    SEND_OACK = "send-oack"
    WAIT = "wait"


class End(Enum):
    """How a transfer ended."""

    FINISHED = "finished"
    PROBED = "probed"
    FAILED = "failed"


Step = Blocks | Signal | End

# Waits before the client has ever answered: 15 s for four repeats, longer than any ROM repeats its request itself.
_OPENING_S = (0.5, 1.0, 2.0, 4.0, 8.0)
# Later waits: at least this much for the nth repeat.  The first three follow the round trip alone, for losses; the
# others wait for slow readers: GRUB stops acknowledging for many seconds while it unpacks, and is still alive.
_PATIENCE_S = (0.0, 0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
# A floor well under the second of other servers (where loss costs most), yet above any scheduler's hiccup.
_RTO_MIN_S = 0.03
_RTO_MAX_S = 5.0
# So many blocks may restarts send again for each block that has arrived, and for each of one window beforehand.  A loss
# of 5 % in windows of 64 needs about two; a doubling network, where each restart gains a block or two, 30 and more.
_AGAIN_PER_BLOCK = 2
# With the client's own interval: give up after this many repeats, but not before the second figure has passed.
_GIVE_UP_TRIES = 4
_GIVE_UP_S = 30.0


class Transfer:
    """The state of one read transfer of `size` bytes.

    Every method returns the next step; `deadline` is when `expired` is due.  `expected` is the acknowledgement of
    everything sent, so that the usual packet costs one comparison.
    """

    __slots__ = (
        "_again",
        "_asked_s",
        "_quiet_since",
        "_repaired_at",
        "_restarted",
        "_rto_s",
        "_rttvar_s",
        "_sent_at",
        "_sliding",
        "_srtt_s",
        "_timed",
        "_tries",
        "_window_blocks",
        "acked",
        "answered",
        "deadline",
        "expected",
        "last",
        "reason",
        "retransmits",
        "sent",
        "terms",
    )

    def __init__(self, size: int, terms: Terms) -> None:
        self.terms = terms
        self._window_blocks = terms.window
        self._asked_s = terms.timeout_s
        self.last = size // terms.blksize + 1  # a size that fits exactly ends with an empty block
        self.acked = 0
        self.sent = 0
        self.answered = False
        self.retransmits = 0
        self.reason = ""
        self.expected = ack(0)
        self.deadline = 0.0
        self._again = 0
        self._tries = 0
        self._sent_at = 0.0
        self._quiet_since = 0.0
        self._timed = True
        self._repaired_at = -1
        self._restarted = False
        self._sliding = False
        self._srtt_s: float | None = None
        self._rttvar_s = 0.0
        self._rto_s = _OPENING_S[0]

    def start(self, now: float) -> Step:
        """The first packet: the OACK when anything was agreed (RFC 2347), else block 1."""
        self._quiet_since = now
        return self._opening(now)

    def received(self, packet: bytes, now: float) -> Step:
        """The step after a packet from the client."""
        if packet == self.expected:
            return self._onward(now)
        if len(packet) >= 4 and packet[0] == 0 and packet[1] == Opcode.ACK:
            return self._acked(int.from_bytes(packet[2:4], "big"), now)
        return self._ended_by_client(packet)

    def expired(self, now: float) -> Step:
        """The step once `deadline` has passed."""
        self._tries += 1
        if self._hopeless(now):
            return self._silent()
        # Backed off until a packet that was sent only once is timed again (RFC 6298, 5.5; Karn).
        self._rto_s = min(self._rto_s * 2, _RTO_MAX_S)
        self._timed = False
        self._repaired_at = -1
        self._restarted = self._sliding = False
        if not self.answered:
            return self._opening(now)
        if self.sent == 0:
            self.retransmits += 1
            self._arm(now)
            return Signal.SEND_OACK
        return self._resend(now)

    def repeated_request(self, now: float) -> Step:
        """The client sent its request again: our first packet may be lost.  It counts as a try (RFC 1350, 4.31)."""
        if self.answered:
            return Signal.WAIT
        return self.expired(now)

    def refused(self) -> End:
        """The client's port is closed (ICMP): it is done, it only wanted the size, or it is gone."""
        if self._only_last_ack_missing():
            return End.FINISHED
        if not self.answered and any(name == b"tsize" for name, _ in self.terms.oack):
            return End.PROBED
        self.reason = "the client closed its port"
        return End.FAILED

    @property
    def opening(self) -> Step:
        return Signal.SEND_OACK if self.terms.oack else Blocks(1, 2)

    def _opening(self, now: float) -> Step:
        self.retransmits += self._tries > 0
        self._sent_at = now
        self.deadline = now + _OPENING_S[min(self._tries, len(_OPENING_S) - 1)]
        if not self.terms.oack:
            self.sent = 1
            self.expected = ack(1)
        return self.opening

    def _acked(self, number: int, now: float) -> Step:
        ahead = (number - self.acked) & 0xFFFF
        if ahead == 0:
            return self._repeated_ack(now)
        if ahead > self.sent - self.acked:
            return Signal.WAIT  # from before the window: a late duplicate
        return self._advance(self.acked + ahead, now)

    def _onward(self, now: float) -> Step:
        """`_advance` for what nearly every packet is: the first ACK of all that was sent, before its time ran out."""
        if not self._timed or self._restarted or self._tries or not self.answered or self.sent == self.last:
            return self._advance(self.sent, now)
        self._measure(now - self._sent_at)
        self.acked = self.sent
        self._quiet_since = now
        return self._window(now, timed=True)

    def _advance(self, upto: int, now: float) -> Step:
        """Everything up to block `upto` has arrived: the next window begins there."""
        gap = upto < self.sent
        if self._restarted and self._too_soon(now):
            self._sliding = True
        if self._timed:
            self._measure(now - self._sent_at)
        self.acked = upto
        self.answered = True
        self._tries = 0
        self._quiet_since = now
        if upto == self.last:
            return End.FINISHED
        if gap:
            return self._slide(now) if self._sliding or not self._may_restart() else self._restart(now)
        self._restarted = False
        return self._window(now, timed=True)

    def _slide(self, now: float) -> Step:
        """Send only what was never sent.  If there was a loss after all, the timer or a repeated ACK finds it."""
        first = self.sent + 1
        self.sent = min(self.acked + self.terms.window, self.last)
        self.expected = ack(self.sent)
        self._timed = False
        self._arm(now)
        return Blocks(first, self.sent + 1) if first <= self.sent else Signal.WAIT

    def _repeated_ack(self, now: float) -> Step:
        """The acknowledgement of what is acknowledged already.

        In lock-step it means nothing.  In a window it means that the first block was lost, unless it comes too soon
        for a round trip: then the network doubled it.  Answered once until something changes.
        """
        if self.terms.window == 1 or not self.answered or self._repaired_at == self.acked or self._too_soon(now):
            return Signal.WAIT
        return self._restart(now) if self._may_restart() else Signal.WAIT

    def _may_restart(self) -> bool:
        """Whether what has arrived so far is worth sending the rest of the window again.  If not, the timer does it."""
        again = self._again + self.sent - self.acked
        return again <= _AGAIN_PER_BLOCK * (self.acked + self.terms.window)

    def _restart(self, now: float) -> Blocks:
        self._again += self.sent - self.acked
        self._repaired_at = self.acked
        self._restarted = True
        return self._resend(now)

    def _too_soon(self, now: float) -> bool:
        """Whether what came now cannot be an answer to what was sent last."""
        return now - self._sent_at < (self._srtt_s or 0.0) / 2

    def _resend(self, now: float) -> Blocks:
        self.retransmits += self.sent - self.acked
        return self._window(now, timed=False)

    def _window(self, now: float, *, timed: bool) -> Blocks:
        upto = self.acked + self._window_blocks
        self.sent = upto = upto if upto < self.last else self.last
        self.expected = ack(upto)
        self._timed = timed
        self._arm(now)
        return Blocks(self.acked + 1, upto + 1)

    def _arm(self, now: float) -> None:
        self._sent_at = now
        if self._asked_s is not None:
            self.deadline = now + self._asked_s
        elif self._tries:
            patience = _PATIENCE_S[min(self._tries, len(_PATIENCE_S) - 1)]
            self.deadline = now + max(self._rto_s, patience)
        else:
            self.deadline = now + self._rto_s

    def _measure(self, rtt_s: float) -> None:
        """RFC 6298 section 2, with our own bounds.  Resent windows are not timed (Karn)."""
        if self._srtt_s is None:
            self._srtt_s, self._rttvar_s = rtt_s, rtt_s / 2
        else:
            off_s = rtt_s - self._srtt_s
            self._rttvar_s += ((off_s if off_s > 0 else -off_s) - self._rttvar_s) / 4
            self._srtt_s += off_s / 8
        rto_s = self._srtt_s + 4 * self._rttvar_s
        self._rto_s = _RTO_MIN_S if rto_s < _RTO_MIN_S else _RTO_MAX_S if rto_s > _RTO_MAX_S else rto_s

    def _hopeless(self, now: float) -> bool:
        if not self.answered:
            return self._tries >= len(_OPENING_S)
        if self.terms.timeout_s is None:
            return self._tries >= len(_PATIENCE_S)
        return self._tries > _GIVE_UP_TRIES and now - self._quiet_since >= _GIVE_UP_S

    def _silent(self) -> End:
        """Nothing more came.  The last acknowledgement is often not sent at all: that is success."""
        if self._only_last_ack_missing():
            return End.FINISHED
        self.reason = "the client stopped answering" if self.answered else "the client never answered"
        return End.FAILED

    def _only_last_ack_missing(self) -> bool:
        return self.answered and self.sent == self.last

    def _ended_by_client(self, packet: bytes) -> Step:
        try:
            heard = decode(packet)
        except PacketError:
            return Signal.WAIT
        if not isinstance(heard, Error):
            return Signal.WAIT
        # EDK2 asks for the size, takes it from the OACK and aborts with 8; ROMs and others do so with 0.
        if self.acked == 0 and self.terms.oack and heard.code in (ErrorCode.OPTIONS, ErrorCode.UNDEFINED):
            return End.PROBED
        self.reason = f"the client aborted: {heard.message or 'error'} ({heard.code})"
        return End.FAILED
