"""URIs of iSCSI disks: what is taken is written back the same, and is one plain word for iPXE."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netboot.boot.quoting import IPXE
from netboot.errors import InvalidInput
from netboot.model.san import EXAMPLE, SanUri

_label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
_hosts = st.lists(_label, min_size=1, max_size=4).map(".".join).filter(lambda name: any(c.isalpha() for c in name))
_groups = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=4)
_targets = st.one_of(
    st.from_regex(r"iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z]{2,5}\.[a-z]{1,9}(:[A-Za-z0-9._:-]{1,20})?", fullmatch=True),
    st.from_regex(r"eui\.[0-9A-F]{16}", fullmatch=True),
    st.from_regex(r"naa\.([0-9a-f]{16}){1,2}", fullmatch=True),
)


@given(
    server=_hosts | st.ip_addresses(v=4).map(str),
    protocol=st.sampled_from(["", "6"]),
    port=st.none() | st.integers(1, 65535),
    lun=st.none() | _groups,
    target=_targets,
)
def test_what_rfc_4173_allows_is_read_and_written_back(
    server: str, protocol: str, port: int | None, lun: list[int] | None, target: str
) -> None:
    words = "-".join(f"{group:04X}" for group in lun) if lun else ""
    read = SanUri.parse(f"iscsi:{server}:{protocol}:{port or ''}:{words}:{target}")
    assert (read.server, read.port, read.target) == (server, port or 3260, target)
    said = [int(group, 16) for group in read.lun.split("-")]
    assert said + [0] * (4 - len(said)) == [*(lun or [0]), *[0] * (4 - len(lun or [0]))]
    assert SanUri.parse(str(read)) == read
    assert IPXE.word(str(read)) == str(read)
    assert set(str(read)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-")


@given(st.text(max_size=60) | st.text(max_size=20).map(lambda text: EXAMPLE + text))
@example(EXAMPLE + " || reboot")
@example(EXAMPLE + "${net0/mac}")
@example(EXAMPLE + "\n")
@example(EXAMPLE + "٣")
def test_what_is_taken_is_one_plain_word_and_all_else_is_refused_with_a_remedy(text: str) -> None:
    try:
        read = SanUri.parse(text)
    except InvalidInput as error:
        assert error.hint
        assert EXAMPLE in error.hint
        return
    assert str(read).isascii()
    assert not set(str(read)) & set(" \t\r\n$#|&;\\\"'`%/?")
    with suppress(InvalidInput):
        assert SanUri.parse(str(read)) == read


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not written iscsi:"),
        ("nfs:10.9.0.2::::iqn.2010-04.org.example:a", "is not written iscsi:"),
        ("iscsi:10.9.0.2:iqn.2010-04.org.example", "is not written iscsi:"),
        ("iscsi:10.9.0.256::::iqn.2010-04.org.example:a", "no IPv4 address"),
        ("iscsi:[fd00::1]::::iqn.2010-04.org.example:a", "the server '[fd00'"),
        ("iscsi:Nas::::iqn.2010-04.org.example:a", "host's name in lower case"),
        ("iscsi:::::iqn.2010-04.org.example:a", "the server ''"),
        (f"iscsi:{'a.' * 127}a::::iqn.2010-04.org.example:a", "host's name"),
        ("iscsi:user@10.9.0.2::::iqn.2010-04.org.example:a", "the server 'user@10.9.0.2'"),
        ("iscsi:10.9.0.2:17:::iqn.2010-04.org.example:a", "the protocol '17' is not 6"),
        ("iscsi:10.9.0.2::0::iqn.2010-04.org.example:a", "the port '0'"),
        ("iscsi:10.9.0.2::65536::iqn.2010-04.org.example:a", "the port '65536'"),
        ("iscsi:10.9.0.2:::x1:iqn.2010-04.org.example:a", "the LUN 'x1' is not hexadecimal"),
        ("iscsi:10.9.0.2:::12345:iqn.2010-04.org.example:a", "the LUN '12345'"),
        ("iscsi:10.9.0.2:::1-2-3-4-5:iqn.2010-04.org.example:a", "the LUN"),
        ("iscsi:10.9.0.2::::", "the target '' is no name of iSCSI"),
        ("iscsi:10.9.0.2::::disk7", "the target 'disk7'"),
        ("iscsi:10.9.0.2::::iqn.2010-13.org.example:a", "the target"),
        ("iscsi:10.9.0.2::::iqn.2010-04.org.example:a b", "the target"),
        ("iscsi:10.9.0.2::::eui.0123", "the target"),
        (f"iscsi:10.9.0.2::::iqn.2010-04.org.example:{'a' * 200}", "the target"),
    ],
)
def test_the_part_that_is_wrong_is_named(text: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        SanUri.parse(text)
    assert why in refused.value.message


def test_what_is_as_usual_is_left_out() -> None:
    assert str(SanUri.parse("iscsi:nas:6:3260:0:naa.0123456789abcdef")) == "iscsi:nas::::naa.0123456789abcdef"
    assert str(SanUri.parse("iscsi:nas::860:A-0:naa.0123456789abcdef")) == "iscsi:nas::860:a:naa.0123456789abcdef"
