"""Files of a client's own: from folders to the archive."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath

import pytest

from netboot.errors import InvalidInput
from netboot.model.target import ImageTarget
from netboot.personal.archive import ARCHIVE_MAX_BYTES, pack
from netboot.personal.collect import collect
from netboot.personal.entries import Entry, File, Folder, Link, beneath, laid_over
from netboot.personal.layout import check_files, file_entries, settings_entries, values_of
from tests.kit import make_target
from tests.personal_kit import TEMPLATES, contents, members, write

TARGET = replace(
    make_target(), hostname="lab-07", locale="de_DE.UTF-8", keyboard="us-altgr-intl", timezone="Europe/Berlin"
)
VALUES = values_of(TARGET, address=IPv4Address("10.9.0.7"), server=IPv4Address("10.9.0.1"))


def place(text: str) -> PurePosixPath:
    return PurePosixPath(text)


def test_settings_are_written_where_debian_and_systemd_read_them() -> None:
    archive = pack(laid_over(settings_entries(TARGET, [TEMPLATES], VALUES)))
    assert contents(archive) == {
        "files/etc/default/locale": "LANG=de_DE.UTF-8\n",
        "files/etc/locale.conf": "LANG=de_DE.UTF-8\n",
        "files/etc/default/keyboard": (
            "XKBMODEL=pc105\nXKBLAYOUT=us\nXKBVARIANT=altgr-intl\nXKBOPTIONS=\nBACKSPACE=guess\n"
        ),
        "files/etc/vconsole.conf": "KEYMAP=us-altgr-intl\nXKBLAYOUT=us\nXKBVARIANT=altgr-intl\n",
        "files/etc/timezone": "Europe/Berlin\n",
        "files/etc/localtime": "-> /usr/share/zoneinfo/Europe/Berlin",
    }


def test_what_nobody_set_stays_as_the_image_has_it() -> None:
    target = replace(TARGET, locale=None, keyboard=None)
    archive = pack(laid_over(settings_entries(target, [TEMPLATES], VALUES)))
    assert set(contents(archive)) == {"files/etc/timezone", "files/etc/localtime"}


def test_an_operator_replaces_templates_and_adds_some(tmp_path: Path) -> None:
    mine = write(
        tmp_path,
        {
            "client/timezone/etc/timezone.j2": "{{ timezone }} ({{ hostname }})\n",
            "client/timezone/etc/profile.d/tz.sh": "export TZ\n",
        },
    )
    found = contents(pack(laid_over(settings_entries(TARGET, [TEMPLATES, mine], VALUES))))
    assert found["files/etc/timezone"] == "Europe/Berlin (lab-07)\n"
    assert found["files/etc/profile.d/tz.sh"] == "export TZ\n"
    assert found["files/etc/default/locale"] == "LANG=de_DE.UTF-8\n"


def test_files_for_all_and_for_one_client_lie_over_one_another(tmp_path: Path) -> None:
    general = write(
        tmp_path / "general",
        {
            "all/root/etc/motd.j2": "{{ hostname }} at {{ address }} runs {{ version }}\n",
            "all/root/etc/issue": "all {{ not rendered }}\n",
            "all/credentials/token": "t",
            "clients/lab-07/root/etc/issue": "seven\n",
            "clients/lab-08/root/etc/issue": "eight\n",
            "clients/lab-08/credentials/token": "u",
        },
    )
    room = write(tmp_path / "room", {"all/root/etc/issue": "room\n", "all/root/etc/room": ""})
    target = replace(TARGET, files=(general, room))
    assert contents(pack(laid_over(file_entries(target, VALUES)))) == {
        "credentials/token": "t",
        "files/etc/issue": "seven\n",
        "files/etc/motd": "lab-07 at 10.9.0.7 runs debian:1\n",
        "files/etc/room": "",
    }
    # Anybody can call itself so.
    stranger = contents(pack(laid_over(file_entries(replace(target, known=False), VALUES))))
    assert stranger["files/etc/issue"] == "room\n"


def test_modes_are_kept_and_owners_are_roots(tmp_path: Path) -> None:
    write(tmp_path, {"bin/tool": "#!/bin/sh\n", "secret/key": "k"})
    (tmp_path / "bin/tool").chmod(0o4755)
    (tmp_path / "secret").chmod(0o700)
    (tmp_path / "secret/key").chmod(0o600)
    (tmp_path / "link").symlink_to("../bin/tool")
    if os.geteuid() == 0:
        os.chown(tmp_path / "secret/key", 1000, 1000)
    found = members(pack(laid_over([collect(tmp_path, {})])))
    assert {name: (each.mode, each.uid, each.gid, each.mtime) for name, each in found.items()} == {
        "bin": ((tmp_path / "bin").stat().st_mode & 0o7777, 0, 0, 0),
        "bin/tool": (0o4755, 0, 0, 0),
        "secret": (0o700, 0, 0, 0),
        "secret/key": (0o600, 0, 0, 0),
        "link": (0o777, 0, 0, 0),
    }
    assert found["link"].linkname == "../bin/tool"


def test_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    names = ["b", "a/z", "a/y.j2", "c"]
    for folder, order in (("one", names), ("two", reversed(names))):
        write(tmp_path / folder, dict.fromkeys(order, "x"))
        os.utime(tmp_path / folder / "b", (1, len(folder)))
    one, two = (pack(laid_over([collect(tmp_path / folder, {})])) for folder in ("one", "two"))
    assert one == two


def test_busybox_unpacks_it_whatever_the_length_of_names(tmp_path: Path) -> None:
    long = "/".join(["a-folder-with-a-long-name"] * 8)
    write(tmp_path / "in", {f"{long}/file.j2": "{{ hostname }}", "etc/x": "y"})
    entries = laid_over(
        [beneath("files", collect(tmp_path / "in", VALUES)), {place("files/etc/l"): Link(target="/" + long)}]
    )
    (tmp_path / "out").mkdir()
    subprocess.run(["busybox", "tar", "-x", "-C", tmp_path / "out"], input=pack(entries), check=True)
    assert (tmp_path / "out/files" / long / "file").read_text() == "lab-07"
    assert str((tmp_path / "out/files/etc/l").readlink()) == "/" + long


def test_nothing_lies_beneath_a_link_or_a_file() -> None:
    away: dict[PurePosixPath, Entry] = {place("etc"): Link(target="/somewhere/else")}
    inside: dict[PurePosixPath, Entry] = {place("etc/passwd"): File(content=b"x")}
    assert laid_over([away, inside]) == {place("etc"): Folder(), place("etc/passwd"): File(content=b"x")}
    assert laid_over([inside, away]) == {place("etc"): Link(target="/somewhere/else")}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.j2": "{{ nobody }}"}, "'nobody' is undefined"),
        ({"a.j2": "one\n{% if %}"}, "a.j2, line 2"),
        ({"a.j2": "{{ ''.__class__.__mro__ }}"}, "unsafe"),
        ({"a.j2": "x", "a": "y"}, "twice"),
        ({"a.symlink": "one\ntwo\n"}, "one line"),
        ({"a\nb": ""}, "printed"),
    ],
)
def test_what_cannot_be_sent_is_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        collect(write(tmp_path, files), {})


def test_pipes_and_the_like_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="neither file, folder nor link"):
        collect(tmp_path, {})


def test_too_much_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    for number in range(3):
        with (tmp_path / f"large-{number}").open("wb") as file:
            file.truncate(ARCHIVE_MAX_BYTES // 2)
    with pytest.raises(InvalidInput, match="more than"):
        collect(tmp_path, {})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"etc/motd": ""}, "etc goes nowhere"),
        ({"all/etc/motd": ""}, "etc goes nowhere"),
        ({"clients/lab-07/etc/motd": ""}, "etc goes nowhere"),
        ({"all/root": ""}, "root goes nowhere"),
    ],
)
def test_files_that_would_go_nowhere_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        check_files(write(tmp_path, files))
    with pytest.raises(InvalidInput, match="no folder"):
        check_files(tmp_path / "absent")


def test_a_credential_is_a_file(tmp_path: Path) -> None:
    target: ImageTarget = replace(TARGET, files=(write(tmp_path, {"all/credentials/a/b": ""}),))
    with pytest.raises(InvalidInput, match="is no credential"):
        list(file_entries(target, VALUES))
