"""A reply's bytes and events with gaps where one machine's marks stood, to be filled with those of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, NamedTuple, Self

from netboot.dhcp import options as opt
from netboot.dhcp.area import option_spans
from netboot.dhcp.identify import hyphenated, swapped_uuid
from netboot.dhcp.kinds import CHADDR, XID, Layout
from netboot.dhcp.message import OPTIONS_AT
from netboot.model.event import Detail, Event, EventKind
from netboot.model.mac import MacAddress

_YIADDR, _FILE = (16, 20), (108, 236)
_BACK_AS_IT_CAME = (opt.CLIENT_ID.code, opt.MACHINE_ID.code)


@dataclass(frozen=True, slots=True)
class GappedReply:
    """The parts of a reply, an empty one for each gap; `copied` says which gap is filled from where in the request."""

    parts: tuple[bytes, ...]
    copied: tuple[tuple[int, slice], ...]
    yiaddr_at: int
    mac_at: tuple[int, ...]

    @classmethod
    def cut(cls, reply: bytes, layout: Layout, mac: MacAddress) -> Self:
        """Cut out what belongs to one machine: header fields, options that are sent back, its MAC in a boot file."""
        spans = option_spans(reply, OPTIONS_AT)
        copied = {(each.start, each.stop): each for each in (XID, CHADDR)}
        copied |= {(start, end): layout.marks[code] for code, start, end in spans if code in _BACK_AS_IT_CAME}
        names = [_FILE, *((start, end) for code, start, end in spans if code == opt.BOOT_FILE.code)]
        texts = [gap for start, end in names for gap in _occurrences(mac.dashed.encode(), reply, start, end)]
        gaps = sorted((*copied, _YIADDR, *texts))
        ends = (0, *(end for _, end in gaps))
        parts: list[bytes] = []
        for end_before, (start, _) in zip(ends, gaps, strict=False):
            parts += reply[end_before:start], b""
        place = {gap: 2 * number + 1 for number, gap in enumerate(gaps)}
        return cls(
            parts=(*parts, reply[ends[-1] :]),
            copied=tuple((place[gap], source) for gap, source in copied.items()),
            yiaddr_at=place[_YIADDR],
            mac_at=tuple(place[gap] for gap in texts),
        )

    def fill(self, request: bytes, yiaddr: bytes, mac: MacAddress) -> bytes:
        """The reply to another request of the kind."""
        parts = list(self.parts)
        for place, source in self.copied:
            parts[place] = request[source]
        parts[self.yiaddr_at] = yiaddr
        if self.mac_at:
            text = mac.dashed.encode()
            for place in self.mac_at:
                parts[place] = text
        return b"".join(parts)


class Marks(NamedTuple):
    """What events tell of one machine alone.  `uuid` is as its firmware sent it."""

    mac: MacAddress
    address: IPv4Address
    uuid: str | None

    @property
    def details(self) -> dict[str, Detail]:
        address = str(self.address)
        return {"address": address, "uuid": hyphenated(swapped_uuid(self.uuid))} if self.uuid else {"address": address}


@dataclass(frozen=True, slots=True)
class GappedEvent:
    """An event of one machine; `with_mac` are the details in which its MAC stands as text."""

    kind: EventKind
    details: Mapping[str, Detail]
    mac: MacAddress
    with_mac: tuple[str, ...]

    @classmethod
    def cut(cls, event: Event, mac: MacAddress) -> Self:
        texts = {key: value for key, value in event.details.items() if isinstance(value, str)}
        with_mac = (key for key, value in texts.items() if str(mac) in value or mac.dashed in value)
        return cls(event.kind, event.details, mac, tuple(with_mac))

    def fill(self, now: float, marks: Marks) -> Event:
        """The same event of another machine, with these marks of its own."""
        return Event(now, self.kind, marks.mac, FilledDetails(self, marks))

    def fill_details(self, marks: Marks) -> dict[str, Detail]:
        details, own = dict(self.details), marks.details
        for key in details.keys() & own.keys():
            details[key] = own[key]
        for key in self.with_mac:
            text = str(details[key])
            details[key] = text.replace(str(self.mac), str(marks.mac)).replace(self.mac.dashed, marks.mac.dashed)
        return details


class FilledDetails(Mapping[str, Detail]):
    """Filled when somebody reads them: that is who records the event, while the client has its answer already."""

    __slots__ = ("_filled", "_gapped", "_marks")

    def __init__(self, gapped: GappedEvent, marks: Marks) -> None:
        self._gapped, self._marks = gapped, marks
        self._filled: dict[str, Detail] | None = None

    def __getitem__(self, key: str) -> Detail:
        return self._details()[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self._details().get(key, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._details())

    def __len__(self) -> int:
        return len(self._details())

    def __repr__(self) -> str:
        return repr(self._details())

    def _details(self) -> dict[str, Detail]:
        if self._filled is None:  # two threads may both fill them, with the same
            self._filled = self._gapped.fill_details(self._marks)
        return self._filled


def _occurrences(text: bytes, data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = data.find(text, start, end)
    while at >= 0:
        yield at, at + len(text)
        at = data.find(text, at + len(text), end)
