"""The codec and the answer, for whatever may arrive."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from netboot.config import DhcpMode
from netboot.dhcp.answer import answer
from netboot.dhcp.decision import Arrival, Reply
from netboot.dhcp.identify import identify
from netboot.dhcp.message import COOKIE, DecodeError, Message, MessageType, decode, encode, encoded_size
from netboot.dhcp.options import read_suboptions
from tests.dhcp_kit import BIOS, IPXE, LAB, NOW, UEFI, UEFI_HTTP, make_policy
from tests.kit import MAC

addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
near_addresses = st.one_of(st.integers(0x0A090000, 0x0A0900FF).map(IPv4Address), addresses, st.just(IPv4Address(0)))
codes = st.integers(1, 254).filter(lambda code: code != 52)
values = st.one_of(st.binary(max_size=20), st.binary(max_size=600))
texts = st.binary().map(lambda raw: raw.replace(b"\0", b""))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any message that can be written."""
    return Message(
        op=draw(st.sampled_from((1, 2))),
        htype=draw(st.integers(1, 255)),
        hlen=draw(st.integers(0, 16)),
        hops=draw(st.integers(0, 255)),
        xid=draw(st.integers(0, 2**32 - 1)),
        secs=draw(st.integers(0, 65535)),
        flags=draw(st.integers(0, 65535)),
        ciaddr=draw(addresses),
        yiaddr=draw(addresses),
        siaddr=draw(addresses),
        giaddr=draw(addresses),
        chaddr=draw(st.binary(min_size=16, max_size=16)),
        sname=draw(texts)[:64],
        file=draw(texts)[:128],
        options=draw(st.dictionaries(codes, values, max_size=12)),
    )


@st.composite
def asking(draw: st.DrawFn) -> Message:
    """A client's message: of a known type, from a known kind of asker, with anything else on top."""
    asker = draw(st.sampled_from((BIOS, UEFI, UEFI_HTTP, IPXE, {})))
    options = {
        53: bytes((draw(st.sampled_from(MessageType)),)),
        **asker,
        **draw(st.dictionaries(st.sampled_from((43, 50, 51, 54, 55, 57, 61, 66, 77, 82, 93, 97, 118, 175)), values)),
    }
    for code in draw(st.sets(st.sampled_from((50, 54, 118)))):
        options[code] = draw(near_addresses).packed
    return Message(
        xid=draw(st.integers(0, 2**32 - 1)),
        chaddr=draw(st.sampled_from((MAC.octets, b"\x52\x54\x00\x00\x00\x09"))) + bytes(10),
        flags=draw(st.sampled_from((0, 0x8000, 0xFFFF))),
        ciaddr=draw(near_addresses),
        giaddr=draw(near_addresses),
        siaddr=draw(addresses),
        file=b"theirs",
        options=options,
    )


arrivals = st.builds(
    Arrival,
    source=st.tuples(near_addresses, st.integers(1, 65535)),
    destination=near_addresses,
    port=st.sampled_from((67, 4011)),
)


@given(st.binary(max_size=800))
def test_decode_raises_one_error_or_nothing(data: bytes) -> None:
    try:
        decode(data)
    except DecodeError:
        return


@given(st.binary(min_size=232, max_size=232), st.binary(max_size=600))
def test_decode_reads_any_options(header: bytes, options: bytes) -> None:
    message = decode(b"\x01\x01\x06\x00" + header + COOKIE + options)
    assert identify(message, MAC)
    for value in message.options.values():
        read_suboptions(value)


@given(messages())
def test_what_is_written_is_read_back(message: Message) -> None:
    data = encode(message)
    again = decode(data)
    assert again == message
    assert len(data) == max(300, encoded_size(message))
    assert encode(again) == data


@settings(max_examples=400)
@given(asking(), arrivals, st.sampled_from(DhcpMode))
def test_a_request_gets_at_most_one_reply_with_its_own_marks(asked: Message, by: Arrival, mode: DhcpMode) -> None:
    decision = answer(asked, by, make_policy(LAB, mode=mode), NOW)
    assert decision.reason
    if not isinstance(decision, Reply):
        return
    reply = decision.message
    assert (reply.op, reply.xid, reply.chaddr, reply.giaddr) == (2, asked.xid, asked.chaddr, asked.giaddr)
    assert reply.type in (MessageType.OFFER, MessageType.ACK, MessageType.NAK)
    assert reply.options.get(82) == (asked.options.get(82) or None)
    assert reply.options.get(61) == (asked.options.get(61) or None)
    assert not {50, 52, 55, 57} & set(reply.options)
    assert reply.file != b"theirs"
    assert decode(encode(reply)) == reply
    if mode is DhcpMode.PROXY or by.port == 4011:
        assert decision.leases == ()
        assert int(reply.yiaddr) == 0
        assert not {51, 58, 59} & set(reply.options)


@given(asking())
def test_reading_and_answering_is_the_same_for_a_message_that_went_over_the_wire(asked: Message) -> None:
    policy = make_policy(LAB)
    by = Arrival(source=(IPv4Address(0), 68), destination=IPv4Address("255.255.255.255"))
    assert answer(decode(encode(asked)), by, policy, NOW) == answer(asked, by, policy, NOW)


def test_the_header_is_as_long_as_the_rfc_says() -> None:
    assert struct.calcsize("!BBBBIHHIIII16s64s128s") == 236
