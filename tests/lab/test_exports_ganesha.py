"""The real exporter with the real NFS-Ganesha, in namespaces that vanish with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from netboot.system.loop import find_loop

SCRIPT = Path(__file__).parent / "exporter_in_namespace.py"
REPOSITORY = Path(__file__).parents[2]

# fmt: off
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
# fmt: on


def observe(folder: Path, scenario: str) -> Any:
    done = subprocess.run(
        [*NAMESPACES, sys.executable, SCRIPT, folder, scenario],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=100,
        check=True,
    )
    return json.loads(done.stdout[done.stdout.index("{") :])


def test_a_version_is_served_by_nfs_4_alone_and_nothing_stays_afterwards(tmp_path: Path) -> None:
    # RFC 5531: accept status 0 is success, 2 means that the server does not speak this version.
    assert observe(tmp_path, "serves") == {
        "path": f"{tmp_path}/exports/tiny/1",
        "served_before_and_after": [False, True],
        "content": "1",
        "read_only": True,
        "v4": 0,
        "v3": 2,
        "mounted_after_stop": False,
        "loop_after_stop": False,
        "pid_file_after_stop": False,
    }


def test_a_second_version_is_added_without_a_restart_and_only_once(tmp_path: Path) -> None:
    assert observe(tmp_path, "second-version") == {"same_process": True, "reloads": 1, "v4": 0}


def test_after_kill_9_mounts_and_server_are_taken_over(tmp_path: Path) -> None:
    assert observe(tmp_path, "taken-over") == {
        "same_process": True,
        "same_config": True,
        "mounts": 1,
        "v4": 0,
        "listens_after_stop": False,
    }
    assert find_loop(tmp_path / "1.ext4") is None


def test_a_server_that_died_is_started_again(tmp_path: Path) -> None:
    assert observe(tmp_path, "dies") == {"quiet": False, "restarted": True, "v4": 0}


def test_a_taken_port_is_told_and_not_forgotten(tmp_path: Path) -> None:
    seen = observe(tmp_path, "port-taken")
    # Already when nothing is exported yet: not the first client shall find out.
    assert seen["message"] == seen["at_start"] == "TCP port 2049 is taken, so NFS cannot be served"
    assert "nfs-ganesha" in seen["hint"]
    assert seen["mounted"] is False
    # Asked again once the port is free, it is served: the failure was not taken for success.
    assert seen["later"] == 0


def test_a_version_is_served_as_a_file_also_after_it_was_removed(tmp_path: Path) -> None:
    folder = f"{tmp_path}/exports/tiny/1.ext4"
    assert observe(tmp_path, "as-a-file") == {
        "place": f"{folder}/root.ext4",
        "tree": "root.verity",
        "has_root_hash": True,
        "listed": ["root.ext4", "root.verity"],
        "same_bytes": True,
        "outside": "",
        "same_bytes_when_removed": True,
        "errors": 0,
        # The next daemon lets go of what no version needs.
        "kept": [],
    }


def test_what_would_be_done_is_told_and_not_done(tmp_path: Path) -> None:
    path = f"{tmp_path}/exports/tiny/1"
    assert observe(tmp_path, "planned") == {
        "before": [f"mount tiny:1 at {path}", f"export {path} to 10.9.0.0/24"],
        "untouched": True,
        "after": [],
    }


def test_what_cannot_be_exported_is_undone_and_what_was_stays(tmp_path: Path) -> None:
    seen = observe(tmp_path, "undone")
    assert "did not reload" in seen.pop("failed")
    assert seen == {"as_before": True, "mounted": [True, False], "later": 0, "same_process": True}


def test_changed_networks_hold_for_what_is_exported_already(tmp_path: Path) -> None:
    assert observe(tmp_path, "other-networks") == {"same_process": True, "old_network": 0, "new_network": 2, "v4": 0}


def test_a_version_that_is_stored_as_its_changes_is_made_before_it_is_served(tmp_path: Path) -> None:
    assert observe(tmp_path, "stored-as-changes") == {
        "there_at_first": False,
        "first": [0, False, "2", 0],
        "next_daemon": [0, False, "2", 0],
    }
