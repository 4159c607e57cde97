"""The client's shell core under the shells it meets: dash and busybox's ash."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from netboot import initramfs
from tests.initramfs_kit import CORE, FOLDER, Sh, calls, program, sh

__all__ = ["sh"]


def nic(folder: Path, name: str, address: str, *, device: bool = True) -> None:
    place = folder / "sys/class/net" / name
    place.mkdir(parents=True)
    (place / "address").write_text(f"{address}\n")
    if device:
        (place / "device").mkdir()


# -- the kernel line


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("boot", "netboot"),
        ("netboot.root", "nfs:10.9.0.1:/srv/exports/debian/1"),
        ("console", "ttyS0"),
        ("ip", "dhcp"),
    ],
)
def test_arguments_are_found_by_their_whole_name(sh: Sh, key: str, value: str) -> None:
    assert sh(f"nb_argument {key}").stdout == f"{value}\n"


@pytest.mark.parametrize("key", ["oot", "netboot", "netbootXroot", "NETBOOT.ROOT"])
def test_an_argument_that_is_not_there_fails_silently(sh: Sh, key: str) -> None:
    done = sh(f"nb_argument {key}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a=1 a=2", "2"),
        ("a=b=c", "b=c"),
        ("x  a=1\t y", "1"),
        ("a=", ""),
        ("a=* b=/etc", "*"),
        ("a=$(echo>pwned)`echo>pwned`", "$(echo>pwned)`echo>pwned`"),
        (r"a=\x -n", r"\x"),
    ],
)
def test_values_are_taken_as_they_are(sh: Sh, tmp_path: Path, line: str, value: str) -> None:
    for end in ("\n", ""):
        (tmp_path / "cmdline").write_text(line + end)
        assert sh("nb_argument a").stdout == f"{value}\n"


# -- the boot NIC


def test_the_boot_nic_is_the_card_with_the_address_of_bootif(sh: Sh, tmp_path: Path) -> None:
    nic(tmp_path, "eth0", "52:54:00:ab:cd:02")
    nic(tmp_path, "br0", "52:54:00:ab:cd:01", device=False)
    nic(tmp_path, "eth1", "52:54:00:ab:cd:01")
    assert sh("nb_boot_nic").stdout == "eth1\n"


def test_while_the_card_is_not_there_the_search_fails(sh: Sh, tmp_path: Path) -> None:
    nic(tmp_path, "eth0", "52:54:00:ab:cd:02")
    assert sh("nb_boot_nic").returncode == 1


@pytest.mark.parametrize("state", ["up", "unknown"])  # the latter is what a driver has that cannot see its link
def test_nobody_waits_for_a_link_that_is_there(sh: Sh, tmp_path: Path, state: str) -> None:
    nic(tmp_path, "eth0", "52:54:00:ab:cd:01")
    program(tmp_path, "busybox", f"echo {state} >{tmp_path}/sys/class/net/eth0/operstate")
    assert sh("nb_raise_nic eth0").returncode == 0
    assert calls(tmp_path) == ["busybox ip link set dev eth0 up"]


def test_a_link_that_takes_its_time_is_waited_for(sh: Sh, tmp_path: Path) -> None:
    nic(tmp_path, "eth0", "52:54:00:ab:cd:01")
    state = tmp_path / "sys/class/net/eth0/operstate"
    state.write_text("down\n")
    program(tmp_path, "busybox", f"[ $(grep -c sleep {tmp_path}/calls) -lt 3 ] || echo up >{state}")
    assert sh("nb_raise_nic eth0").returncode == 0
    assert calls(tmp_path)[1:] == ["busybox sleep 0.1"] * 3


def test_a_cable_that_is_not_there_is_waited_for_ten_seconds(sh: Sh, tmp_path: Path) -> None:
    nic(tmp_path, "eth0", "52:54:00:ab:cd:01")
    (tmp_path / "sys/class/net/eth0/operstate").write_text("down\n")
    program(tmp_path, "busybox", ":")
    assert sh("nb_raise_nic eth0").returncode == 0
    assert calls(tmp_path)[1:] == ["busybox sleep 0.1"] * 100


# -- reports


@pytest.mark.parametrize("value", ["plain", "a b&c=d+e%f", "füße ✓", "line\nline", "~-._/:", "'\"$`\\"])
def test_form_values_survive_any_character(sh: Sh, value: str) -> None:
    done = sh('nb_form kind up message "$VALUE" empty ""', VALUE=value)
    assert parse_qs(done.stdout) == {"kind": ["up"], "message": [value]}
    assert done.stdout.isascii() and "\n" not in done.stdout


def test_without_an_address_for_reports_nothing_is_sent_and_nothing_fails(sh: Sh, tmp_path: Path) -> None:
    program(tmp_path, "busybox", "exit 1")
    assert sh("nb_report up").returncode == 0
    assert calls(tmp_path) == []


# -- the root


@pytest.mark.parametrize(
    "root", ["", "nfs:", "nfs:10.9.0.1", "nfs:10.9.0.1:relative", "nfs-file:10.9.0.1:/x/", "iscsi:10.9.0.1:/x", "nbd:x"]
)
def test_a_root_that_is_none_of_the_modes_is_told(sh: Sh, tmp_path: Path, root: str) -> None:
    (tmp_path / "cmdline").write_text(f"netboot.root={root}\n")
    assert sh("nb_mount_lower").returncode == 1
    assert (
        "is neither nfs:SERVER:/PATH nor nfs-file:SERVER:/PATH/FILE nor iscsi:SERVER::PORT:LUN:IQN"
        in (tmp_path / "run/mount.log").read_text()
    )


def test_the_root_is_mounted_read_only(sh: Sh, tmp_path: Path) -> None:
    program(tmp_path, "mount.nfs", "exit 0")
    assert sh("nb_mount_lower").returncode == 0
    (call,) = calls(tmp_path)
    assert call.startswith(
        f"mount.nfs 10.9.0.1:/srv/exports/debian/1 {tmp_path}/run/lower -n -o hard,nolock,retry=0,ro,"
    )


def test_a_server_that_does_not_answer_ends_the_try_in_time(sh: Sh, tmp_path: Path) -> None:
    program(tmp_path, "mount.nfs", "exec sleep 60")
    assert sh("nb_mount_lower", NB_MOUNT_TIMEOUT="1").returncode != 0
    assert (tmp_path / "run/mount.log").read_text() == "no answer from 10.9.0.1 within 1 s\n"


def failing_client(folder: Path) -> None:
    """Mounting always fails; waits take no time."""
    program(folder, "mount.nfs", "echo 'mount.nfs: Connection refused' >&2; exit 32")
    for name in ("sleep", "reboot", "dmesg"):
        program(folder, name, "exit 0")


# Reports go to a file instead of a server.
REPORTS = """
nb_report() { printf '%s\\n' "$*" >>"$NB_RUN/reports"; return "$HEARD"; }
nb_shell() { echo shell >>"$NB_RUN/reports"; }
"""


def test_failed_tries_are_reported_and_the_last_one_with_its_log(sh: Sh, tmp_path: Path) -> None:
    failing_client(tmp_path)
    sh(REPORTS + "nb_what=mount; nb_round nb_mount_lower || nb_give_up 1", HEARD="0", NB_WAITS="1 2")
    assert (tmp_path / "run/reports").read_text() == (
        "root-retried attempt 1 message mount.nfs: Connection refused\n"
        "root-retried attempt 2 message mount.nfs: Connection refused\n"
        "root-failed attempt 3 message mount.nfs: Connection refused log mount.nfs: Connection refused\n"
    )
    assert [call for call in calls(tmp_path) if call.startswith("sleep")] == ["sleep 1", "sleep 2", "sleep 30"]


@pytest.mark.parametrize(
    ("words", "heard", "round_number", "expected"),
    [
        ("", "0", "1", "sleep 30"),
        ("", "0", "3", "reboot -f"),
        ("", "1", "3", "sleep 30"),  # a silent boot server has no better kernel line
        ("netboot.shell=0", "0", "1", "sleep 30"),
        ("netboot.shell=1", "0", "3", "shell"),
    ],
)
def test_a_client_without_root_waits_or_starts_afresh_and_opens_a_shell_only_if_allowed(
    sh: Sh, tmp_path: Path, words: str, heard: str, round_number: str, expected: str
) -> None:
    failing_client(tmp_path)
    (tmp_path / "cmdline").write_text(f"netboot.root=nfs:10.9.0.1:/x {words}\n")
    sh(f"{REPORTS} nb_attempt=5; nb_error=x; nb_what=y; nb_give_up {round_number}", HEARD=heard)
    done = {*calls(tmp_path), *(tmp_path / "run/reports").read_text().splitlines()}
    assert {"sleep 30", "reboot -f", "shell"} & done == {expected}


def test_the_temporary_layer_is_bounded_and_lies_over_the_lower(sh: Sh, tmp_path: Path) -> None:
    program(tmp_path, "mount", "exit 0")
    assert sh("nb_overlay /root").returncode == 0
    run = tmp_path / "run"
    assert calls(tmp_path) == [
        f"mount -t tmpfs -o size=25%,mode=0755 netboot-upper {run}/rw",
        f"mount -t overlay -o lowerdir={run}/lower,upperdir={run}/rw/upper,workdir={run}/rw/work overlay /root",
    ]


def test_the_way_is_taken_again_until_the_root_stands(sh: Sh, tmp_path: Path) -> None:
    failing_client(tmp_path)
    program(tmp_path, "mount.nfs", f"[ $(grep -c ^mount.nfs {tmp_path}/calls) -ge 4 ] || {{ echo away; exit 32; }}")
    program(tmp_path, "mount", "exit 0")
    script = "nb_personalise() { :; }; nb_attach_root /root lease"
    assert sh(REPORTS + script, HEARD="0", NB_WAITS="1").returncode == 0
    kinds = [line.split()[0] for line in (tmp_path / "run/reports").read_text().splitlines()]
    assert kinds == ["root-retried", "root-failed", "root-retried", "root-mounted"]


# -- identity


def test_a_server_that_keeps_silent_is_told_of_while_it_is_waited_for(sh: Sh, tmp_path: Path) -> None:
    said = tmp_path / "reports"
    report = f'nb_report() {{ echo "$*" >>{said}; }}; '
    program(tmp_path, "mount.nfs", "exec sleep 9")
    done = sh(f"{report} nb_ask 10.9.0.1 mount.nfs x", NB_SILENCE="1", NB_MOUNT_TIMEOUT="3")
    assert done.returncode == 137
    assert said.read_text() == "root-awaited message no answer from 10.9.0.1 for 1 s\n"
    assert (tmp_path / "run/mount.log").read_text() == "no answer from 10.9.0.1 within 3 s\n"
    said.unlink()
    program(tmp_path, "mount.nfs", "echo refused >&2; exit 32")
    done = sh(f"{report} nb_ask 10.9.0.1 mount.nfs x; echo $?; sleep 2", NB_SILENCE="1")
    assert done.stdout == "32\n"
    assert not said.exists()


def test_a_full_layer_is_told_once_and_again_when_it_was_emptied(sh: Sh, tmp_path: Path) -> None:
    said, left = tmp_path / "reports", tmp_path / "left"
    program(tmp_path, "stat", f"head -n 1 {left}; sed -i 1d {left}")
    # `sleep` ends the watch when there is nothing left to see.
    program(tmp_path, "sleep", f"test -s {left}")
    left.write_text(
        "900 1000 50 90 1048576\n9 1000 50 90 1048576\n8 1000 50 90 1048576\n"
        + "200 1000 50 90 1048576\n500 1000 0 90 1048576\n"
    )
    watch = (FOLDER / "image/watch-upper").read_text().partition("core.sh\n\n")[2]
    done = sh(f'nb_report() {{ echo "$*" >>{said}; }}\n{watch}')
    assert done.stderr == ""
    assert said.read_text().splitlines() == [
        "upper-full message 9 of 1000 MiB are left, 50 of 90 inodes",
        "upper-full message 500 of 1000 MiB are left, 0 of 90 inodes",
    ]


def test_the_client_has_its_name_and_an_id_of_its_own_before_nfs_starts(sh: Sh, tmp_path: Path) -> None:
    for name in ("hostname", "modprobe"):
        program(tmp_path, name, "exit 0")
    (tmp_path / "sys/module/nfs/parameters").mkdir(parents=True)
    assert sh("nb_set_identity").returncode == 0
    assert calls(tmp_path) == ["hostname lab-01", "modprobe nfs"]
    given = (tmp_path / "sys/module/nfs/parameters/nfs4_unique_id").read_text()
    assert given == "0123456789abcdef0123456789abcdef"


LEASE = """\
DEVICE='ens2'
IPV4ADDR='10.9.0.81'
IPV4DNS0='10.9.0.1'
IPV4DNS1='0.0.0.0'
DNSDOMAIN='lab.example'
ROOTPATH='$(reboot)'
"""


def test_name_servers_come_from_the_lease(sh: Sh, tmp_path: Path) -> None:
    (tmp_path / "lease").write_text(LEASE)
    assert sh(f"nb_resolv_conf {tmp_path}/lease").stdout == "search lab.example\nnameserver 10.9.0.1\n"


def test_a_value_of_the_lease_that_is_no_plain_word_is_dropped(sh: Sh, tmp_path: Path) -> None:
    (tmp_path / "lease").write_text(LEASE.replace("lab.example", "a'; reboot; '"))
    assert sh(f"nb_resolv_conf {tmp_path}/lease").stdout == "nameserver 10.9.0.1\n"
    assert sh(f"nb_lease_value ROOTPATH {tmp_path}/lease").stdout == ""


def test_the_root_gets_this_clients_name_and_name_servers(sh: Sh, tmp_path: Path) -> None:
    etc = tmp_path / "root/etc"
    etc.mkdir(parents=True)
    (etc / "resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    (tmp_path / "lease").write_text(LEASE)
    done = sh(f"nb_personalise {tmp_path}/root {tmp_path}/lease {FOLDER}/image/boot.network {tmp_path}/network")
    assert (done.returncode, done.stderr) == (0, "")
    assert (etc / "hostname").read_text() == "lab-01\n"
    assert "127.0.1.1\tlab-01" in (etc / "hosts").read_text()
    assert (etc / "resolv.conf").read_text() == "search lab.example\nnameserver 10.9.0.1\n"
    network = (tmp_path / "network/00-netboot.network").read_text()
    assert "PermanentMACAddress=52:54:00:ab:cd:01\n" in network
    assert "@" not in "".join(line for line in network.splitlines() if not line.startswith("#"))


# -- the files around it


def test_the_log_that_is_reported_is_bounded(sh: Sh, tmp_path: Path) -> None:
    program(tmp_path, "dmesg", "yes 'a line of the kernel' | head -n 5000")
    (tmp_path / "run/mount.log").write_text("the last word\n")
    said = sh("nb_log_tail").stdout
    assert len(said) == 6000
    assert said.endswith("the last word\n")


def test_autologin_needs_the_admins_word(tmp_path: Path) -> None:
    generator = (FOLDER / "image/autologin-generator").read_text().replace("/usr/share/netboot/core.sh", str(CORE))
    place = tmp_path / "serial-getty@.service.d/netboot-autologin.conf"
    for word, expected in (("", False), ("netboot.autologin=0", False), ("netboot.autologin=1", True)):
        (tmp_path / "cmdline").write_text(f"console=ttyS0 {word}\n")
        subprocess.run(
            ["dash", "-c", generator, "generator", tmp_path],
            env={"PATH": os.environ["PATH"], "NB_CMDLINE": str(tmp_path / "cmdline")},
            check=True,
        )
        assert place.is_symlink() is expected


FRAMES = {source for source in initramfs.PLACES if source.endswith(".sh") or "scripts/" in source} - {*initramfs.CORE}


def test_shellcheck_finds_nothing_in_the_core_as_a_whole(tmp_path: Path) -> None:
    whole = tmp_path / "core.sh"
    whole.write_text("".join((FOLDER / part).read_text() for part in initramfs.CORE))
    assert shellcheck(whole) == ""


@pytest.mark.parametrize("name", sorted({*FRAMES, *initramfs.PROGRAMS}))
def test_shellcheck_finds_nothing(name: str) -> None:
    assert shellcheck(FOLDER / name) == ""


def shellcheck(file: Path) -> str:
    assert shutil.which("shellcheck"), "apt-get install shellcheck"
    # dracut sources its modules with bash.
    shell = "bash" if "bash" in file.read_text().partition("\n")[0] else "sh"
    done = subprocess.run(
        # 1091: what is sourced lies in the image, not here.
        ["shellcheck", f"--shell={shell}", "--exclude=SC1091", file],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout
