"""Tar archives: what others write is read, what is written others read, and what is broken says where."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from netboot.errors import InvalidInput
from netboot.images.transfer import headers
from netboot.images.transfer.acl import text_of, value_of
from netboot.images.transfer.entry import Entry, Kind, parse_path
from netboot.images.transfer.fields import BLOCK
from netboot.images.transfer.tar import read_tar
from netboot.images.transfer.writer import TreeWriter
from tests.tar_kit import archive, folder, hardlink, item, read, symlink

LONG = "d" * 120 + "/" + "f" * 140


def test_a_header_is_the_bytes_that_posix_says() -> None:
    entry = Entry(path=b"etc/motd", kind=Kind.FILE, mode=0o644, uid=1000, gid=100, mtime_ns=10**9, size=5)
    block = headers.encode(entry)
    # Written by hand from POSIX.1-2001, pax, "ustar Interchange Format".
    fields = [
        (100, b"etc/motd"),
        *((8, b"0000644"), (8, b"0001750"), (8, b"0000144"), (12, b"00000000005"), (12, b"00000000001")),
        *((7, b"010670"), (1, b" "), (1, b"0"), (100, b""), (6, b"ustar"), (2, b"00"), (64, b"")),
        *((8, b"0000000"), (8, b"0000000"), (167, b"")),
    ]
    wanted = b"".join(value.ljust(size, b"\0") for size, value in fields)
    assert block == wanted
    assert len(block) == BLOCK


@pytest.mark.parametrize(
    ("name", "path"),
    [("a/b", "a/b"), ("/a//b/", "a/b"), ("./a/./b", "a/b"), ("./", ""), ("/", ""), ("a/...", "a/..."), ("..a", "..a")],
)
def test_names_become_paths_beneath_the_tree(name: str, path: str) -> None:
    assert parse_path(name.encode()) == path.encode()


@pytest.mark.parametrize("name", ["..", "../a", "a/../../b", "/..", "a/..", "a" * 256, "a/" * 2500, "a\0b"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        parse_path(name.encode())


@pytest.mark.parametrize(
    "format", [["--format=gnu"], ["--format=pax"], ["--format=ustar"], ["--format=v7"], ["--format=oldgnu"]]
)
def test_what_gnu_tar_writes_is_read(tmp_path: Path, format: list[str]) -> None:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder/file").write_bytes(b"x" * 700)
    (tree / "folder/empty").touch()
    (tree / "link").symlink_to("../folder/file")
    os.link(tree / "folder/file", tree / "other")
    if format[0] not in ("--format=ustar", "--format=v7"):
        (tree / LONG).parent.mkdir()
        (tree / LONG).write_text("long")
        (tree / "to-long").symlink_to(LONG)
        os.link(tree / LONG, tree / "too")
    made = subprocess.run(["tar", *format, "-C", tree, "--sort=name", "-cf", "-", "."], capture_output=True, check=True)
    found = {entry.path.decode(): (entry, content) for entry, content in read(made.stdout)}
    assert found["folder"][0].kind is Kind.FOLDER
    assert found["folder/file"][1] == b"x" * 700
    assert found["folder/empty"][0].size == 0
    assert (found["link"][0].kind, found["link"][0].target) == (Kind.SYMLINK, b"../folder/file")
    assert (found["other"][0].kind, found["other"][0].target) == (Kind.HARDLINK, b"folder/file")
    if "to-long" in found:
        assert found[LONG][1] == b"long"
        assert found["to-long"][0].target == LONG.encode()
        assert found["too"][0].target == LONG.encode()
    assert found["folder/file"][0].mtime_ns // 10**9 == (tree / "folder/file").stat().st_mtime_ns // 10**9


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0", "old"])
@pytest.mark.parametrize("pieces", [2, 60])
def test_sparse_files_of_all_of_gnus_formats_are_read(tmp_path: Path, version: str, pieces: int) -> None:
    size = pieces * 3 * 65536
    with (tmp_path / "disk").open("wb") as disk:
        for index in range(pieces):
            disk.seek(index * 3 * 65536 + 65536)
            disk.write(b"%06d" % index * 1000)
        disk.truncate(size)
    how = ["--format=gnu"] if version == "old" else ["--format=pax", f"--sparse-version={version}"]
    made = subprocess.run(["tar", "-S", *how, "-C", tmp_path, "-cf", "-", "disk"], capture_output=True, check=True)
    ((entry, found),) = read(made.stdout)
    assert entry.path == b"disk"
    assert entry.size == size
    assert entry.data is not None and len(entry.data) >= pieces
    assert found == (tmp_path / "disk").read_bytes()


def test_python_writes_what_is_read() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as made:
        info = tarfile.TarInfo("ünïcode/" + "é" * 120)
        info.size, info.mtime, info.uid = 3, 1.25, 3_000_000_000
        info.pax_headers = {"SCHILY.xattr.user.note": "valü", "comment": "any"}
        made.addfile(info, io.BytesIO(b"abc"))
    ((entry, content),) = read(target.getvalue())
    assert entry.path.decode() == info.name
    assert (entry.mtime_ns, entry.uid, content) == (1_250_000_000, 3_000_000_000, b"abc")
    assert entry.xattrs == {"user.note": "valü".encode()}


def everything() -> bytes:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    return archive(
        [
            item("", kind=Kind.FOLDER, mode=0o755),
            folder("bin"),
            item("bin/ping", b"x" * 1000, mode=0o4755, xattrs={"security.capability": capability, "user.a": b"\0\n="}),
            hardlink("bin/ping6", "bin/ping"),
            symlink("bin/" + "l" * 200, "t" * 300),
            item(LONG, b"", mtime_ns=-1_500_000_000, uid=3_000_000_000),
            item("dev/sda", kind=Kind.BLOCK, device=(8, 1)),
            item("dev/tty", kind=Kind.CHAR, device=(5, 0)),
            item("fifo", kind=Kind.FIFO),
            item("höhle", b"", size=1 << 20, data=((4096, 4096), (65536, 5))),
            item(b"not \xff utf-8", b"1"),
        ]
    )


def test_gnu_tar_and_python_read_what_is_written() -> None:
    data = everything()
    listed = subprocess.run(["tar", "-tvf", "-"], input=data, capture_output=True, check=True)
    assert listed.stderr == b""
    lines = listed.stdout.decode().splitlines()
    assert len(lines) == 11
    assert any(line.startswith("brw-r--r--") and line.split()[2] == "8,1" for line in lines)
    assert any("bin/ping6 link to bin/ping" in line for line in lines)
    with tarfile.open(fileobj=io.BytesIO(data)) as read_by_python:
        members = {each.name: each for each in read_by_python.getmembers()}
    assert members["bin/ping"].mode == 0o4755
    assert members[LONG].uid == 3_000_000_000
    assert members[LONG].mtime == -1.5
    assert members["bin/" + "l" * 200].linkname == "t" * 300
    assert members["bin/ping"].pax_headers["SCHILY.xattr.user.a"] == "\0\n="


def test_what_is_written_is_read_again() -> None:
    found = list(read(everything()))
    assert archive((entry, iter([(0, content)] if content else [])) for entry, content in found) == everything()


def test_holes_are_left_out_and_gnu_tar_finds_them(tmp_path: Path) -> None:
    parts = ((4096, 8192), (1 << 20, 4096), (5 << 20, 10))
    content = bytearray((5 << 20) + 20)
    chunks = []
    for offset, length in parts:
        content[offset : offset + length] = os.urandom(length)
        chunks.append((offset, bytes(content[offset : offset + length])))
    entry = Entry(path=b"disk", kind=Kind.FILE, size=len(content), data=parts, uid=os.getuid(), gid=os.getgid())
    data = archive([(entry, iter(chunks)), item("after", b"after")], holes=True)
    assert len(data) < 20_000
    subprocess.run(["tar", "-C", tmp_path, "-xf", "-"], input=data, check=True)
    assert (tmp_path / "disk").read_bytes() == content
    assert (tmp_path / "after").read_bytes() == b"after"
    (again, found), (_, after) = read(data)
    assert (again, found, after) == (entry, bytes(content), b"after")


def test_an_archive_of_holes_alone() -> None:
    entry, content = next(read(archive([item("disk", size=1 << 26, data=())], holes=True)))
    assert (entry.size, entry.data, len(content)) == (1 << 26, (), 1 << 26)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 5000, len(everything()) - 1024, len(everything()) - 600])
def test_an_archive_that_is_cut_off_is_broken(size: int) -> None:
    with pytest.raises(InvalidInput, match="cut off"):
        list(read(everything()[:size]))


def test_an_end_mark_may_be_missing_where_a_digest_vouches_for_the_archive() -> None:
    data = archive([item("a", b"a")])[:-1024]
    assert [entry.path for entry, _ in read(data, end_required=False)] == [b"a"]
    with pytest.raises(InvalidInput, match="cut off"):
        list(read(data[:-1], end_required=False))


def test_a_damaged_header_says_where() -> None:
    data = bytearray(archive([item("a", b"a"), item("b", b"b")]))
    data[1024] ^= 1
    with pytest.raises(InvalidInput, match=r"broken at byte 1024.*checksum"):
        list(read(bytes(data)))


def _pax(content: bytes) -> bytes:
    head = bytearray(headers.encode(Entry(path=b"x", kind=Kind.FILE, size=len(content))))
    head[156:157] = b"x"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + content + bytes(-len(content) % BLOCK)


@pytest.mark.parametrize(
    "records",
    [b"no length\n", b"5 a=b\n", b"99 a=b\n", b"5 ab\n", b"0 a=b\n", b"-6 a=b\n", b"999999999999999999999999 a=b\n",
     b"12 size=-10\n", b"17 uid=999999999999\n"[:17], b"26 uid=99999999999999999\n", b"14 mtime=1e99\n",
     b"25 GNU.sparse.map=1,2,3\n", b"22 GNU.sparse.major=1\n", b"13 path=../x\n", b"14 path=\0\0\0\0\n"],
)  # fmt: skip
def test_broken_pax_records_are_refused(records: bytes) -> None:
    with pytest.raises(InvalidInput):
        list(read(_pax(records) + archive([item("a", b"a")])))


def test_a_header_that_would_fill_memory_is_refused() -> None:
    huge = Entry(path=b"x", kind=Kind.FILE, size=1 << 30)
    for kind in (b"x", b"g", b"L", b"K"):
        head = bytearray(headers.encode(huge)[-512:])
        head[156:157] = kind
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
        with pytest.raises(InvalidInput, match="more than"):
            list(read(bytes(head) + bytes(4096)))


@pytest.mark.parametrize(
    ("parts", "size"), [(((0, 10), (5, 10)), 20), (((0, 30),), 20), (((5, 5), (0, 5)), 20), (((0, 10),), 20)]
)
def test_sparse_maps_that_lie_are_refused(parts: tuple[tuple[int, int], ...], size: int) -> None:
    text = b",".join(b"%d,%d" % part for part in parts)
    records = {"GNU.sparse.map": text, "GNU.sparse.size": b"%d" % size, "GNU.sparse.name": b"x"}
    stored = sum(length for _, length in parts) - (1 if parts == ((0, 10),) else 0)
    head = headers.encode(Entry(path=b"x", kind=Kind.FILE, size=size), follows=stored, more=records)
    with pytest.raises(InvalidInput, match="map"):
        list(read(head + bytes(1024) + archive([])))


def test_a_file_that_grows_or_shrinks_while_it_is_read_is_told() -> None:
    for content in (b"abcd", b"ab"):
        entry = Entry(path=b"log", kind=Kind.FILE, size=3, data=((0, 3),))
        with pytest.raises(InvalidInput, match="changed while it was read"):
            archive([(entry, iter([(0, content)]))], holes=True)


def test_bytes_after_the_end_are_read_to_their_end(tmp_path: Path) -> None:
    source = io.BytesIO(archive([item("a", b"a")]) + bytes(10240) + b"more")
    with TreeWriter(tmp_path) as writer:
        writer.add_all(read_tar(source))
    assert source.read() == b""


ACL = bytes.fromhex("0200000001000600ffffffff02000400e803000004000400ffffffff10000600ffffffff20000400ffffffff")


@pytest.mark.parametrize(
    "text",
    [
        b"user::rw-,user:1000:r--,group::r--,mask::rw-,other::r--",
        b"user::rw-\nuser:lisa:r--:1000\ngroup::r--\n# a comment\nmask::rw-\nother::r--\n",
        b"default:other::r--,default:user:1000:r--,default:user::rw-,default:mask::rw-,default:group::r--",
    ],
)
def test_lists_of_rights_are_read_as_text(text: bytes) -> None:
    assert value_of(text) == ACL
    assert text_of(ACL) == b"user::rw-,user:1000:r--,group::r--,mask::rw-,other::r--"


@pytest.mark.parametrize(
    "text", [b"user:lisa:r--", b"user::rwxx", b"nobody::r--", b"mask:5:r--", b"user:99999999999:r--"]
)
def test_lists_of_names_alone_and_nonsense_are_left_out(text: bytes) -> None:
    assert value_of(text) is None


@pytest.mark.parametrize("value", [b"", ACL[:-1], b"\1" + ACL[1:], ACL[:4] + b"\3\0\7\0\0\0\0\0"])
def test_what_is_no_list_has_no_text(value: bytes) -> None:
    assert text_of(value) is None
