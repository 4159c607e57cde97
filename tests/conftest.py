"""A test run starts from a plain state, whatever it inherited.

A background job of a shell ignores SIGINT, a service has a narrow umask, a developer's shell a proxy and colours;
programs that tests start would inherit all of it and behave as no test expects.  Every worker passes here, and so
does the inner pytest of a walled test.
"""

from __future__ import annotations

import os
import signal

import hypothesis
import pytest

# What a test hands on to itself (tests/walls.py) and what a person may say to a run.
_OURS = {
    *("NETBOOT_CAPTURES", "NETBOOT_DATA_DIR", "NETBOOT_UPDATE_GOLDEN"),
    *("NETBOOT_LAB_OUTSIDE", "NETBOOT_TEST_REPORTS"),
}
_DISTURBING = {
    *("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "LANGUAGE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
    *("PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONWARNINGS"),
}


def pytest_configure(config: pytest.Config) -> None:
    # No test judges speed: an example that took long on a busy machine is no failure.
    hypothesis.settings.register_profile("unhurried", hypothesis.settings(), deadline=None)
    hypothesis.settings.load_profile("unhurried")
    os.umask(0o022)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals():
        # Python ignores SIGPIPE and SIGXFSZ itself, and gives them back to the programs that it starts.
        if signal.getsignal(number) is signal.SIG_IGN and number not in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for name in tuple(os.environ):
        if name.upper() in _DISTURBING or (name.startswith("NETBOOT_") and name not in _OURS):
            del os.environ[name]
    os.environ["LC_ALL"] = "C.UTF-8"
