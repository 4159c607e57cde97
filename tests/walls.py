"""Runs each test marked `walls` within walls of its own: fresh network, mount and process namespaces.

A folder's conftest.py imports the three hooks from here.  The outer pytest then runs such a test as an inner pytest
under `netboot.lab.namespace`, takes its reports from a file and passes them on as its own.  So a test may leave
links, mounts and processes behind, and tests may run side by side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netboot.lab.namespace import is_inside

_REPORTS_VARIABLE = "NETBOOT_TEST_REPORTS"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "walls: run the test in network, mount and process namespaces of its own")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Outside the walls, run the item inside; inside, leave it to pytest."""
    if is_inside() or not item.get_closest_marker("walls"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports_from_inside(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # What an item without walls left set up for this one, its neighbour, goes before an item of another folder comes.
    item.session._setupstate.teardown_exact(nextitem)
    return True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Inside the walls, keep each report for the outer pytest."""
    if is_inside() and (file := os.environ.get(_REPORTS_VARIABLE)):
        with Path(file).open("a", encoding="utf-8") as lines:
            # What pytest itself does to send reports between processes; it has no public name.
            lines.write(json.dumps(report._to_json(), default=str) + "\n")


def _reports_from_inside(item: pytest.Item) -> Iterator[pytest.TestReport]:
    # The inner pytest's temporary files go below the outer's, so that those of a failed test are kept as usual.
    folder = item.config._tmp_path_factory.mktemp("walls")  # type: ignore[attr-defined]
    file: Path = folder / "reports"
    argv = [sys.executable, "-m", "netboot.lab.namespace", sys.executable, "-m", "pytest"]
    inner = [item.nodeid, "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder / 'tmp'}"]
    environ = {**os.environ, _REPORTS_VARIABLE: str(file)}
    ended = subprocess.run(
        [*argv, *inner], cwd=item.config.rootpath, env=environ, capture_output=True, text=True, errors="replace"
    )
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    reports = [pytest.TestReport._from_json(_with_tuple(json.loads(line))) for line in lines]
    yield from reports
    if not any(report.when == "teardown" for report in reports):
        yield _lost(item, f"{ended.stdout}\n{ended.stderr}")


def _with_tuple(report: dict[str, Any]) -> dict[str, Any]:
    """File, line and reason of a skip are a tuple to pytest; JSON knows lists alone."""
    if isinstance(report.get("longrepr"), list):
        report["longrepr"] = tuple(report["longrepr"])
    return report


def _lost(item: pytest.Item, said: str) -> pytest.TestReport:
    """The report of a test that never came to its end: killed, or an inner pytest that did not start."""
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=f"the test did not come to its end within its walls:\n{said}",
        when="call",
    )
