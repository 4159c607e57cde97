"""What clients keep, with the real NFS-Ganesha and a client in user space, in namespaces that vanish with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.lab.test_exports_ganesha import NAMESPACES, REPOSITORY

SCRIPT = Path(__file__).parent / "volumes_in_namespace.py"


def observe(folder: Path, scenario: str) -> Any:
    done = subprocess.run(
        [*NAMESPACES, sys.executable, SCRIPT, folder, scenario],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=150,
        check=True,
    )
    return json.loads(done.stdout[done.stdout.index("{") :])


def test_a_clients_data_are_for_its_address_alone(tmp_path: Path) -> None:
    assert observe(tmp_path, "own-address") == {
        "written": "",
        "read": "of one",
        "others_own": "",
        "other_reads": "refused",
        "other_writes": "refused",
        "third_reads": "refused",
        "modes": ["0o700", "0o600"],
        "options": ["nodev", "nosuid", "rw"],
        "moved_reads": "of one",
        "old_address_reads": "refused",
        "lost_reads": "refused",
        "lost_is_mounted": False,
        "other_goes_on": "of two",
        "plan": False,
    }


def test_no_handle_that_a_client_makes_up_leads_into_anothers_data(tmp_path: Path) -> None:
    assert observe(tmp_path, "guessed-handles") == {
        "found": [0, 0, 0, 0],
        "many": True,
        "opened": [],
        "secret_itself": True,
        "owner_goes_on": 0,
    }


def test_a_client_keeps_no_more_than_its_size_which_can_grow(tmp_path: Path) -> None:
    assert observe(tmp_path, "quota") == {
        "sparse": True,
        "fits": 0,
        "too_much": 28,  # NFS4ERR_NOSPC
        "taken_at_most": True,
        "fits_now": 0,
        "never_smaller": 3,
        "still_there": "kept",
        "grown_at_rest": True,
    }


def test_the_next_daemon_exports_again_what_clients_hang_on(tmp_path: Path) -> None:
    assert observe(tmp_path, "restart") == {
        "alone": "kept",
        "same_server": True,
        "taken_over": "kept",
        "after_stop": [False, False],
        "started_again": "kept",
        "not_its_address": [],
        "forgotten": [],
    }


def test_volumes_are_mended_moved_removed_and_left_alone_when_damaged(tmp_path: Path) -> None:
    assert observe(tmp_path, "damage") == {
        "unclean": "kept",
        "moved": [False, "kept"],
        "removed": [False, "refused"],
        "anew": ["lost+found"],
        "damaged": ["Unavailable", True, True],
    }
