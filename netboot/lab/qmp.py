"""QEMU's monitor protocol, as much of it as the lab needs: one command at a time, events passed over.

JSON objects, one a line: a greeting, then `{"execute": ...}` answered by `{"return": ...}` or `{"error": ...}`.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from netboot.errors import Unavailable

_TIMEOUT_S = 10.0


def execute(path: Path, command: str, **arguments: str) -> Any:
    """Carry out one command on the monitor at the Unix socket `path`, and give what it returns."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_TIMEOUT_S)
        try:
            line.connect(str(path))
            with line.makefile("rwb") as stream:
                stream.readline()  # the greeting
                _ask(stream, "qmp_capabilities")
                return _ask(stream, command, **arguments)
        except (OSError, ValueError) as error:
            raise Unavailable(f"the machine's monitor did not carry out {command}: {error}") from error


def _ask(stream: Any, command: str, **arguments: str) -> Any:
    stream.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    stream.flush()
    while True:
        answer = json.loads(stream.readline())
        if "error" in answer:
            raise Unavailable(f"the machine's monitor refused {command}: {answer['error']['desc']}")
        if "return" in answer:
            return answer["return"]
