"""The table of what makes a system stateless, its plan, and the plan carried out in trees that mean no good."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from netboot.config.paths import recipes_dir
from netboot.errors import InvalidInput, NetbootError, NotFound
from netboot.images.patterns import Pattern
from netboot.images.prepare import Action, Doing, Table, parse_table, plan
from netboot.images.preparing import load_table, plan_tree, prepare, read_table
from netboot.system.tree import Entry, Kind, Tree

OWN = load_table()


def table(text: str) -> Table:
    return parse_table(tomllib.loads(text))


def files(**contents: str) -> tuple[list[Entry], dict[str, bytes]]:
    """A listing of files with their folders; `__` in a name is a slash, `_dot_` a dot."""
    paths = {name.replace("__", "/").replace("_dot_", "."): text.encode() for name, text in contents.items()}
    folders = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1)}
    listing = [Entry(folder, Kind.FOLDER) for folder in folders]
    return listing + [Entry(path, Kind.FILE, len(content)) for path, content in paths.items()], paths


def planned(rules: Table, **contents: str) -> dict[str, Action]:
    listing, content = files(**contents)
    return {action.path: action for action in plan(listing, rules, content)}


# -- patterns


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("etc/hostname", ["etc/hostname"], ["etc/hostname2", "x/etc/hostname", "etc"]),
        ("tmp/*", ["tmp/a", "tmp/.hidden"], ["tmp", "tmp/a/b"]),
        ("var/log/**", ["var/log/a", "var/log/a/b"], ["var/log", "var/logs/a"]),
        ("var/log/**/*.gz", ["var/log/a.gz", "var/log/x/y/a.gz"], ["var/log/a.gzip", "a.gz"]),
        ("{root,home/*}/.x", ["root/.x", "home/ann/.x"], ["home/.x", "home/a/b/.x"]),
        ("a/[wb]tmp", ["a/wtmp", "a/btmp"], ["a/utmp"]),
        ("a/[!w]tmp", ["a/btmp"], ["a/wtmp", "a//tmp"]),
        ("a/b+.c", ["a/b+.c"], ["a/bb.c", "a/b+xc"]),
        ("a/new\nline?", ["a/new\nline2"], ["a/new"]),
    ],
)
def test_a_pattern_matches_whole_paths(text: str, good: list[str], bad: list[str]) -> None:
    pattern = Pattern.parse(text)
    assert [path for path in good if not pattern.matches(path)] == []
    assert [path for path in bad if pattern.matches(path)] == []
    # Whatever can match lies in folders that are looked into.
    assert all(pattern.reaches(path.rpartition("/")[0]) for path in good)


def test_no_folder_is_looked_into_for_nothing() -> None:
    pattern = Pattern.parse("var/*/x/y")
    assert [each for each in ("var", "var/a", "var/a/x") if not pattern.reaches(each)] == []
    assert [each for each in ("etc", "var/a/z", "var/a/x/y", "v") if pattern.reaches(each)] == []


@pytest.mark.parametrize("text", ["", "/etc/x", "a//b", "../x", "a/./b", "a/b**", "a/[z-a]", "{a,b}" * 7, "a\0b"])
def test_what_is_no_path_beneath_the_root_is_no_pattern(text: str) -> None:
    with pytest.raises(InvalidInput):
        Pattern.parse(text)


# -- the plan


def test_each_action_has_its_reason_group_and_size() -> None:
    rules = table('[[state]]\npaths = ["tmp/*"]\naction = "remove"\nwhy = "temporary"\n')
    assert planned(rules, tmp__a__b="12345", tmp__a__c="678", etc__x="") == {
        "tmp/a": Action(path="tmp/a", action=Doing.REMOVE, group="state", why="temporary", size_bytes=8)
    }


def test_the_first_rule_counts_and_a_later_table_goes_first() -> None:
    rules = table(
        '[[a]]\npaths = ["log/*.gz"]\naction = "remove"\nwhy = "1"\n'
        '[[a]]\npaths = ["log/**"]\naction = "truncate"\nwhy = "2"\n'
    )
    assert {
        path: each.action for path, each in planned(rules, log__x_dot_gz="x", log__y="y", log__empty="").items()
    } == {
        "log/x.gz": Doing.REMOVE,
        "log/y": Doing.TRUNCATE,
    }
    site = table('[[b]]\npaths = ["log/x.gz"]\naction = "truncate"\nwhy = "3"\n')
    assert planned(rules.with_first(site), log__x_dot_gz="x")["log/x.gz"].why == "3"


def test_what_is_exempt_stays_and_so_do_the_folders_to_it() -> None:
    rules = table('exempt = ["tmp/a/keep"]\n[[s]]\npaths = ["tmp/*"]\naction = "remove"\nwhy = "w"\n')
    assert set(planned(rules, tmp__a__keep__x="1", tmp__a__go="2", tmp__b__c="3")) == {"tmp/a/go", "tmp/b"}


def test_lines_go_and_others_stay_byte_by_byte() -> None:
    rules = table("""[[b]]\npaths = ["f"]\naction = "drop-lines"\nlines = ['^a']\nwhy = "w"\n""")
    odd = b"b\xff \x0ca\r\nab\nlast a"
    (action,) = plan([Entry("f", Kind.FILE, len(odd))], rules, {"f": odd})
    assert action.content.encode(errors="surrogateescape") == b"b\xff \x0ca\r\nlast a"


def test_a_placeholder_is_put_where_its_file_or_its_reason_is() -> None:
    own = table('[[i]]\npaths = ["f"]\naction = "placeholder"\ntext = "t"\nwhy = "w"\n')
    reason = table('[[i]]\npaths = ["f"]\naction = "placeholder"\ntext = "t"\nwhen = ["g"]\nwhy = "w"\n')
    assert planned(own, g="") == {} == planned(reason, h="")
    assert planned(own, f="old")["f"].content == "t"
    assert planned(reason, g="")["f"].content == "t"
    assert planned(own, f="t") == {}


def test_a_unit_is_masked_where_it_is_and_an_images_own_unit_stays() -> None:
    rules = table('[[p]]\npaths = ["usr/lib/systemd/system/{a,b,c}.timer"]\naction = "mask"\nwhy = "w"\n')
    there = {"usr__lib__systemd__system__a_dot_timer": "", "usr__lib__systemd__system__b_dot_timer": ""}
    actions = planned(rules, **there, etc__systemd__system__b_dot_timer="own")
    assert {path: each.content for path, each in actions.items()} == {"etc/systemd/system/a.timer": "/dev/null"}


def test_links_beside_a_removed_file_that_name_it_go_too() -> None:
    rules = table('[[i]]\npaths = ["certs/x.pem"]\naction = "remove"\nwhy = "w"\n')
    listing = [
        Entry("certs/12ab.0", Kind.LINK, target="x.pem"),
        Entry("certs/y", Kind.LINK, target="y.pem"),
        Entry("certs/x.pem", Kind.FILE, 5),
        Entry("certs", Kind.FOLDER),
    ]
    assert [action.path for action in plan(listing, rules, {})] == ["certs/12ab.0", "certs/x.pem"]


# -- the table that ships

# What an image that was once a machine holds: path -> content, and what is left of it (None: it is gone).
MACHINE: Mapping[str, tuple[str, str | None]] = {
    "etc/machine-id": ("f00d\n", ""),
    "etc/hostname": ("builder\n", None),
    "etc/hosts": ("127.0.0.1 localhost\n127.0.1.1\tbuilder\n10.0.0.1 nas\n", "127.0.0.1 localhost\n10.0.0.1 nas\n"),
    "etc/ssh/ssh_host_ed25519_key": ("key", None),
    "etc/ssh/ssh_host_ed25519_key.pub": ("key", None),
    "etc/ssh/sshd_config": ("UsePAM yes\n", "UsePAM yes\n"),
    "etc/ssl/private/ssl-cert-snakeoil.key": ("key", None),
    "etc/munge/munge.key": ("key", None),
    "etc/krb5.keytab": ("key", None),
    "etc/iscsi/initiatorname.iscsi": ("InitiatorName=iqn.x:1\n", "GenerateName=yes\n"),
    "etc/nvme/hostnqn": ("nqn", None),
    "etc/nvme/discovery.conf": ("# none\n", "# none\n"),
    "var/lib/systemd/random-seed": ("r", None),
    "var/lib/tailscale/tailscaled.state": ("{}", None),
    "etc/salt/minion_id": ("builder", None),
    "var/lib/cloud/instances/i-1/user-data.txt": ("#cloud-config", None),
    "etc/lvm/devices/system.devices": ("IDNAME=/dev/sda", None),
    "etc/mdadm/mdadm.conf": ("MAILADDR root\nARRAY /dev/md0 UUID=1\n", "MAILADDR root\n"),
    "etc/resolv.conf": ("nameserver 192.0.2.1\n", None),
    "etc/udev/rules.d/70-persistent-net.rules": ("x", None),
    "etc/udev/rules.d/80-mine.rules": ("x", "x"),
    "etc/NetworkManager/system-connections/office.nmconnection": ("psk", None),
    "etc/NetworkManager/NetworkManager.conf": ("[main]\n", "[main]\n"),
    "etc/sysconfig/network-scripts/ifcfg-eth0": ("DEVICE=eth0\nHWADDR=1\n", "DEVICE=eth0\n"),
    "etc/network/interfaces": ("auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n",
                               "auto lo\niface lo inet loopback\niface eth0 inet dhcp\n"),
    "etc/netplan/50-cloud-init.yaml": ("network:\n", None),
    "var/lib/dhcp/dhclient.eth0.leases": ("lease", None),
    "etc/fstab": ("# static\nUUID=1 / ext4 defaults 0 1\n/dev/sda2 none swap sw 0 0\nLABEL=EFI /boot/efi vfat x 0 1\n"
                  "/swapfile none swap sw 0 0\nnas:/home /home nfs4 defaults 0 0\ntmpfs /tmp tmpfs size=1g 0 0\n",
                  "# static\nnas:/home /home nfs4 defaults 0 0\ntmpfs /tmp tmpfs size=1g 0 0\n"),
    "etc/crypttab": ("swap /dev/sda2\n", ""),
    "etc/initramfs-tools/conf.d/resume": ("RESUME=UUID=1\n", None),
    "boot/grub/grubenv": ("x", None),
    "var/log/journal/f00d/system.journal": ("x", None),
    "var/log/dpkg.log": ("x", ""),
    "var/log/apt/history.log": ("x", ""),
    "var/log/syslog.1": ("x", None),
    "var/log/syslog.2.gz": ("x", None),
    "var/log/cron-20260101": ("x", None),
    "var/log/wtmp": ("x", ""),
    "var/cache/apt/pkgcache.bin": ("x", None),
    "var/cache/apt/archives/x_1_all.deb": ("x", None),
    "var/cache/fontconfig/1.cache": ("x", "x"),
    "var/cache/ldconfig/aux-cache": ("x", "x"),
    "var/lib/apt/lists/deb_main": ("x", None),
    "var/lib/dpkg/status": ("x", "x"),
    "var/lib/dpkg/status-old": ("x", None),
    "var/lib/rpm/__db.001": ("x", None),
    "var/lib/rpm/rpmdb.sqlite": ("x", "x"),
    "var/crash/_usr_bin_x.crash": ("x", None),
    "var/mail/root": ("x", None),
    "var/spool/cron/crontabs/root": ("x", None),
    "var/spool/cups/c00001": ("x", None),
    "var/lib/systemd/timers/stamp-apt.timer": ("", None),
    "var/lib/systemd/rfkill/x": ("1", None),
    "etc/passwd-": ("x", None),
    "etc/passwd": ("x", "x"),
    "etc/.pwd.lock": ("", None),
    "root/.bash_history": ("rm -rf x", None),
    "root/.bashrc": ("x", "x"),
    "root/.ssh/known_hosts": ("x", None),
    "root/.ssh/authorized_keys": ("x", "x"),
    "home/ann/.python_history": ("x", None),
    "home/ann/.cache/big/thing": ("x" * 1000, None),
    "home/ann/notes": ("x", "x"),
    "tmp/.X11-unix/X0": ("", None),
    "run/lock": ("", None),
    ".autorelabel": ("", None),
    ".dockerenv": ("", None),
    "etc/apt/apt.conf.d/99mmdebstrap": ("x", None),
    "usr/lib/systemd/system/apt-daily.timer": ("x", "x"),
    "usr/lib/systemd/system/ssh.service": ("x", "x"),
}  # fmt: skip


def machine(root: Path) -> Path:
    for name, (content, _) in MACHINE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "var/lib/dbus").mkdir()
    (root / "usr/share").mkdir()
    return root


def state(root: Path) -> dict[str, tuple[int, int, str]]:
    """All of a tree that another run could change."""
    found = {}
    for path in (root, *root.rglob("*")):
        content = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[str(path.relative_to(root))] = path.lstat().st_mode, path.lstat().st_mtime_ns, content
    return found


def test_a_machine_becomes_an_image(tmp_path: Path) -> None:
    root = machine(tmp_path)
    prepare(root, OWN)
    found = {name: (root / name).read_text() if (root / name).exists() else None for name in MACHINE}
    assert found == {name: left for name, (_, left) in MACHINE.items()}
    assert (root / "var/lib/dbus/machine-id").readlink() == Path("/etc/machine-id")
    assert (root / "etc/systemd/system/apt-daily.timer").readlink() == Path("/dev/null")
    assert "ssh-keygen -A" in (root / "etc/systemd/system/ssh.service.d/netboot-host-keys.conf").read_text()
    assert (root / "var/log/apt").is_dir()


def test_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    root = machine(tmp_path)
    first = plan_tree(root, OWN)
    assert prepare(root, OWN) == first != ()
    after = state(root)
    assert plan_tree(root, OWN) == ()
    assert prepare(root, OWN) == ()
    assert state(root) == after


def test_two_trees_prepared_at_different_times_and_by_different_people_are_the_same(tmp_path: Path) -> None:
    ends = []
    for name, umask in (("one", 0o022), ("two", 0o077)):
        root = machine(tmp_path / name)
        before = os.umask(umask)
        for path in (root, *root.rglob("*")):
            os.utime(path, (10**9, 10**9))
        prepare(root, OWN, at=10**9)
        os.umask(before)
        ends.append(state(root))
    assert ends[0] == ends[1]


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    root = machine(tmp_path)
    before = state(root)
    (cache,) = [action for action in plan_tree(root, OWN) if action.path == "home/ann/.cache/big"]
    assert (cache.size_bytes, cache.group) == (1000, "state")
    assert state(root) == before


def test_a_client_does_not_take_its_image_for_freshly_updated(tmp_path: Path) -> None:
    for name in ("etc", "var", "usr"):
        (tmp_path / name).mkdir()
    prepare(tmp_path, OWN)
    usr = (tmp_path / "usr").stat().st_mtime_ns
    for mark in (tmp_path / "etc/.updated", tmp_path / "var/.updated"):
        # systemd compares the times, and takes the text where a file system has whole seconds only.
        assert mark.stat().st_mtime_ns > usr
        assert int(mark.read_text().strip().removeprefix("TIMESTAMP_NSEC=")) > usr


def test_owner_mode_and_other_names_of_a_file_are_kept(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    tree = tmp_path / "tree"
    (tree / "var/log").mkdir(parents=True)
    os.link(outside, tree / "var/log/app.log")
    (tree / "var/log/app.log").chmod(0o640)
    prepare(tree, OWN)
    assert (tree / "var/log/app.log").read_text() == ""
    assert (tree / "var/log/app.log").stat().st_mode & 0o777 == 0o640
    assert outside.read_text() == "precious"


# -- trees that mean no good


def hostile(tmp_path: Path) -> tuple[Path, Path]:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    tree.mkdir()
    outside.mkdir()
    for name in ("a.log", "b", "machine-id", "fstab", "dpkg.log"):
        (outside / name).write_text("127.0.1.1 precious\n/dev/sda / ext4\n")
    (outside / "deep").mkdir()
    (outside / "deep/c").write_text("precious")
    return tree, outside


@pytest.mark.parametrize("relative", [False, True])
def test_no_link_leads_out_of_the_tree(tmp_path: Path, relative: bool) -> None:
    tree, outside = hostile(tmp_path)
    before = state(outside)

    def link(name: str, target: Path) -> None:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(os.path.relpath(target, (tree / name).parent) if relative else target)

    for name in ("tmp", "var/log", "run", "var/lib/apt", "home/ann", "root"):
        link(name, outside)
    for name in ("etc/machine-id", "etc/fstab", "etc/hosts", "etc/crypttab", "etc/.updated"):
        link(name, outside / "machine-id")
    link("var/crash/x", outside / "deep")
    link("usr/lib/systemd", outside)
    link("var/.updated", outside / "b")
    prepare(tree, OWN)
    assert state(outside) == before
    # What has to be a file of the image is one, and a link by a name that goes is gone.
    assert (tree / "etc/machine-id").read_bytes() == b""
    assert not (tree / "etc/machine-id").is_symlink()
    assert not (tree / "etc/.updated").is_symlink()
    assert not (tree / "var/crash/x").is_symlink()


def test_a_tree_whose_etc_is_elsewhere_is_refused(tmp_path: Path) -> None:
    tree, outside = hostile(tmp_path)
    (tree / "etc").symlink_to(outside)
    before = state(outside)
    with pytest.raises(NetbootError, match="machine-id") as caught:
        prepare(tree, OWN)
    assert "not followed" in (caught.value.hint or "")
    assert state(outside) == before


def test_odd_things_by_odd_names_go_too(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    os.mkfifo(tmp_path / "tmp/pipe")
    (tmp_path / "tmp/new\nline").write_text("x")
    Path(os.fsdecode(os.fsencode(tmp_path / "tmp") + b"/\xff\xfe")).write_text("x")
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/machine-id")
    os.mkfifo(tmp_path / "etc/fstab")  # reading it would wait for ever
    prepare(tmp_path, OWN)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert (tmp_path / "etc/machine-id").is_file()


def test_folders_in_each_other_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    here = os.open(tmp_path / "tmp", os.O_RDONLY)
    for _ in range(300):  # longer together than a path can be
        os.mkdir("x" * 20, dir_fd=here)
        below = os.open("x" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(NetbootError, match=r"'tmp/xxxx.* too deep"):
        prepare(tmp_path, OWN)


def test_times_are_clamped_to_whole_seconds_and_links_own_times_too(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    os.utime(tmp_path / "old", ns=(5 * 10**9 + 7, 5 * 10**9 + 7))
    (tmp_path / "link").symlink_to("old")
    with Tree(tmp_path) as tree:
        tree.clamp_times(10**9)
    assert {path.name: path.lstat().st_mtime_ns for path in (tmp_path, *tmp_path.iterdir())} == {
        tmp_path.name: 10**18,
        "old": 5 * 10**9,
        "link": 10**18,
    }


# -- tables that are wrong


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("identity = 1", "identity is no list of rules"),
        ('[[Big]]\npaths = []\naction = "remove"\nwhy = "w"', "Big is no list"),
        ('[[a]]\naction = "remove"\nwhy = "w"', r"a\[1\]: paths is missing"),
        ('[[a]]\npaths = ["x"]\naction = "remove"', "why is missing"),
        ('[[a]]\npaths = ["x"]\naction = "destroy"\nwhy = "w"', "action is 'destroy'"),
        ('[[a]]\npaths = ["x"]\naction = "remove"\nwhy = "w"\nwy = 1', "wy is no part of a rule"),
        (
            '[[a]]\npaths = ["x"]\naction = "remove"\nwhy = "w"\ntext = ""',
            "text belongs to a rule that says placeholder",
        ),
        ('[[a]]\npaths = ["x"]\naction = "placeholder"\nwhy = "w"', "text belongs to"),
        ('[[a]]\npaths = ["/x"]\naction = "remove"\nwhy = "w"', "no path in an image"),
        ('[[a]]\npaths = "x"\naction = "remove"\nwhy = "w"', "not a list"),
        ('[[a]]\npaths = ["x"]\naction = "drop-lines"\nlines = ["("]\nwhy = "w"', "no regular expression"),
        ('[[a]]\npaths = ["x"]\naction = "remove"\nonly = "door"\nwhy = "w"', "only is 'door'"),
        ('exempt = "x"', "exempt is 'x', not a list"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        table(text)


def test_a_sites_table_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"mine\.toml"):
        read_table(tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_text("x = 1")
    with pytest.raises(InvalidInput, match=r"mine\.toml: x is no list"):
        load_table(tmp_path / "mine.toml")


def test_a_site_and_a_recipe_extend_and_exempt(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('exempt = ["etc/hostname"]\n')
    mine = table('[[state]]\npaths = ["opt/app/cache"]\naction = "remove"\nwhy = "w"\n')
    both = load_table(tmp_path / "site.toml", mine)
    listing, contents = files(etc__hostname="x", opt__app__cache__x="y", etc__nvme__hostid="z")
    assert {action.path for action in plan(listing, both, contents)} == {
        "etc/machine-id",
        "opt/app/cache",
        "etc/nvme/hostid",
    }


def test_every_rule_that_ships_says_why_in_a_line() -> None:
    assert {rule.group for rule in OWN.rules} == {"identity", "network", "boot", "state", "policy", "build"}
    assert all(10 < len(rule.why) < 160 and not rule.why.endswith(".") for rule in OWN.rules)
    assert (recipes_dir() / "prepare.toml").is_file()
