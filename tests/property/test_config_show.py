"""Whatever a configuration says, `netboot config show` prints a file that says the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from netboot.cli.config import config_lines
from netboot.config import Config, parse_config
from netboot.config.reader import LISTS, NAMED, TABLES, settings_of
from netboot.errors import InvalidInput

# Up to the last character that JSON, by which this file is written below, escapes as TOML does.
TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), min_size=1, max_size=8)
PATH = st.text(st.sampled_from("abä \"'\\"), max_size=6).map("/srv/{}".format)
FAMILY = st.sampled_from(["auto", "ipxe", "grub", "pxelinux", "mine.efi", "site/odd.efi"])
LOADERS = st.dictionaries(st.sampled_from(["bios", "x64-uefi", "other", "4711", "7"]), FAMILY, max_size=3)
WORDS = st.lists(st.sampled_from(["quiet", "a=\\b", "x=#{}", "console=ttyS0"]), max_size=3)
WISHES: dict[str, Any] = {
    "root": st.sampled_from(["nfs", "nfs-file", "iscsi"]),
    "root_format": st.sampled_from(["ext4", "erofs", "squashfs"]),
    "verify": st.booleans(),
    "persistent": st.sampled_from(["off", "reset", "keep"]),
    "upper": st.sampled_from(["50%", "2G", "100%", "zram:2g", "disk:scratch", "crypt:a.b-c_d"]),
    "locale": st.sampled_from(["de_DE.UTF-8", "C", "ca_ES.UTF-8@valencia"]),
    "keyboard": st.sampled_from(["us", "de-nodeadkeys", "us-altgr-intl"]),
    "timezone": st.sampled_from(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+1"]),
    "host_keys": st.booleans(),
    "persist": st.lists(st.sampled_from(["/home", "/etc/ssh", "/var/lib/app"]), max_size=2),
    "persist_size": st.sampled_from(["16m", "2G", "16t"]),
}
MODE = st.sampled_from(["own", "proxy", "off"])


def address(third: int) -> st.SearchStrategy[str]:
    return st.integers(2, 99).map(f"10.9.{third}.{{}}".format)


def subnet(third: int) -> st.SearchStrategy[dict[str, Any]]:
    pool = st.integers(100, 150).map(lambda first: f"10.9.{third}.{first}-10.9.{third}.{first + 1}")
    return tables(
        "subnet",
        required={"network": st.just(f"10.9.{third}.0/24")},
        dhcp=MODE,
        pool=pool | st.lists(pool, min_size=1, max_size=1),
        router=st.just(f"10.9.{third}.1"),
        dns=st.lists(address(third), max_size=2),
        domain=st.sampled_from(["lab.example", "x"]),
        routes=st.lists(address(third).map("10.20.0.0/16 via {}".format), max_size=2),
        lease_time_s=st.integers(300, 31_536_000),
        authoritative=st.booleans(),
        rapid_commit=st.booleans(),
    )


def tables(
    name: str, required: Mapping[str, st.SearchStrategy[Any]] | None = None, **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    """A section with any of its settings.  All must be named, so that a new one is tried too."""
    section = {**TABLES, **LISTS, **{key: kind for key, (kind, _) in NAMED.items()}, "": Config}[name]
    assert {*(required or {}), *optional} == {*settings_of(section)}, f"a setting of {name or 'the file'} is not tried"
    return st.fixed_dictionaries(dict(required or {}), optional=optional)


PROFILE = tables(
    "profile",
    inherits=st.just("general"),
    loader=FAMILY,
    loaders=LOADERS,
    kernel_args=WORDS,
    **WISHES,
    shell=st.booleans(),
    files=PATH,
)
DOCUMENTS = st.builds(
    lambda top, parts: {**top, **parts},
    tables("", data_dir=PATH, templates=PATH, loaders_dir=PATH, loaders=LOADERS, database=TEXT),
    st.fixed_dictionaries(
        {},
        optional={
            "interface": st.lists(
                tables("interface", {"name": TEXT.map("e{}".format)}, dhcp=MODE, address=address(1)), max_size=2
            ),
            "subnet": st.tuples(subnet(1), subnet(2)).map(list),
            "reservation": st.lists(
                tables(
                    "reservation",
                    {"address": address(1)},
                    client_id=TEXT,
                    circuit_id=TEXT,
                    remote_id=TEXT,
                    subscriber_id=st.sampled_from(["0xff00", "text:0xff00", "text:text:", "text:01:02"]),
                ),
                max_size=1,
            ),
            "http": tables("http", port=st.integers(1, 65535)),
            "tftp": tables(
                "tftp",
                enabled=st.booleans(),
                port=st.integers(1, 65535),
                ports=st.sampled_from(["50000-50999", "1-1"]),
                pi_firmware=PATH,
            ),
            "clients": tables("clients", unknown=st.sampled_from(["nothing", "menu", "image:a", "image:a:3"])),
            "boot": tables(
                "boot",
                kernel_args=WORDS,
                **WISHES,
                shell=st.booleans(),
                files=PATH,
                patience=st.floats(0.1, 20) | st.integers(1, 20),
                loader=FAMILY,
            ),
            "exports": tables(
                "exports",
                backend=st.sampled_from(["auto", "kernel", "ganesha"]),
                iscsi=st.sampled_from(["auto", "lio", "tgt"]),
                iscsi_chap=st.booleans(),
            ),
            "events": tables("events", keep_days=st.integers(1, 3650)),
            "profile": st.fixed_dictionaries(
                {"general": PROFILE.map(lambda each: {key: each[key] for key in each if key != "inherits"})},
                optional={"room-1": PROFILE},
            ),
        },
    ),
)


@given(DOCUMENTS)
def test_what_show_prints_says_what_was_read(document: dict[str, Any]) -> None:
    try:
        config = parse_config("\n".join(_toml(document)))
    except InvalidInput:
        assume(False)
    assert parse_config("\n".join(config_lines(config))) == config


def _toml(document: Mapping[str, Any]) -> Iterator[str]:
    """The file as a person would write it, one inline table a section."""
    for key, value in document.items():
        yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)
