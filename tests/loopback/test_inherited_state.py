"""The tests say the same from a terminal, a background job, a service and a build machine, see tests/conftest.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Each depends on one thing that a run inherits: SIGINT, the umask, a proxy, colours, Python's and our own variables.
SENSITIVE = (
    "tests/loopback/test_cli_process.py::test_ctrl_c_is_quiet",
    "tests/unit/test_tftp_content.py::test_names_are_bytes",
    "tests/loopback/test_http_boot.py::test_a_denied_client_reads_why",
    "tests/unit/test_cli_client.py::test_list_is_a_table_by_name",
    "tests/unit/test_cli_client.py::test_database_by_url",
)
ODD = {
    "FORCE_COLOR": "1",
    "http_proxy": "http://127.0.0.1:9",
    "NETBOOT_DATABASE": "nonsense://",
    "PYTHONIOENCODING": "ascii:strict",
    "LC_ALL": "POSIX",
}


def _odd_state() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    os.close(0)


def test_what_a_run_inherits_changes_nothing() -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *SENSITIVE]
    ran = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, **ODD},
        capture_output=True,
        text=True,
        timeout=100,
        # Nothing else runs in this process meanwhile, so the hazards of threads do not apply.
        preexec_fn=_odd_state,
    )
    assert ran.returncode == 0, ran.stdout
    assert f"{len(SENSITIVE)} passed" in ran.stdout
