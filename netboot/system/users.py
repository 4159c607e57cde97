"""Who is at work: the name that goes into histories."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping


def user_name(environ: Mapping[str, str] = os.environ) -> str:
    """The login name of who runs this, of who became root by sudo their own; a number where there is no name."""
    number = os.geteuid()
    if number == 0 and (invoker := environ.get("SUDO_USER")):
        return invoker
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
