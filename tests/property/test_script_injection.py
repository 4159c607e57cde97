"""Whatever a person typed, a script keeps its commands: read back by the rules of each loader's own reader.

The readers here are written from the loaders' sources and know nothing of our quoting.
"""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from netboot.boot.cmdline import kernel_line
from netboot.boot.script import Renderer, ScriptContext, ScriptKind, has_script
from netboot.errors import InvalidInput
from netboot.model.root import RootPlace
from netboot.model.san import EXAMPLE, SanUri
from netboot.model.target import BootTarget, DeniedTarget, ImageTarget, LocalTarget, MenuTarget, SanTarget
from tests.kit import MAC, make_target

RENDERER = Renderer(Path(__file__).parents[2] / "templates")
CONTEXT = ScriptContext(server=IPv4Address("10.9.0.1"), http_port=8080, root_of=lambda image: RootPlace("/srv/x"))

NASTY = [
    "\n",
    "\r\n",
    "||",
    "&&",
    ";",
    "${net0/mac}",
    "$(reboot)",
    "`x`",
    "'",
    '"',
    "\\",
    "#",
    "{",
    "}",
    "^",
    "\u2028",
    " ",
]
words = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=8)), max_size=6).map("".join)
spaced = st.lists(words, max_size=4).map(" ".join)
arguments = st.lists(st.one_of(words, st.from_regex(r"[!-~]{1,12}", fullmatch=True)), max_size=4).map(tuple)


def targets(text: str, hint: str, args: tuple[str, ...], hostname: str) -> list[BootTarget]:
    image = replace(make_target(), reason=text, kernel_args=args, hostname=hostname)
    return [
        image,
        MenuTarget(mac=MAC, entries=(image, image), reason=text),
        SanTarget(mac=MAC, hostname=hostname, san=SanUri.parse(EXAMPLE), reason=text),
        LocalTarget(mac=MAC, reason=text),
        DeniedTarget(mac=MAC, reason=text, hint=hint, known=True),
    ]


PLAIN = targets("reason", "hint", (), "lab-01")


def ipxe_commands(script: str) -> list[list[str]]:
    """core/exec.c and image/script.c: lines, continuations, words by blanks, comments, separators."""
    commands: list[list[str]] = []
    for line in script.replace("\\\n", "").split("\n"):
        command: list[str] = []
        for word in re.split(r"[ \t\v\f\r]+", line.strip()):
            if word.startswith("#"):
                break
            if word in ("||", "&&", ";"):
                commands.append(command)
                command = [word]
            else:
                command.append(word)
        commands.append(command)
    return [command for command in commands if command not in ([], [""])]


def pxelinux_commands(script: str) -> list[list[str]]:
    return [line.split() for line in re.split(r"[\r\n]", script) if line.strip() and not line.startswith("#")]


_GRUB_TOKEN = re.compile(
    r"""(?P<blank>[ \t]+) | (?P<end>\n) | (?P<comment>\#[^\n]*) | (?P<operator>\|\||&&|[;|&{}])
      | (?P<word>(?:'[^']*' | "(?:\\.|[^"\\])*" | \\. | [^\s;|&{}'"\\])+)""",
    re.VERBOSE | re.DOTALL,
)


def grub_commands(script: str) -> list[list[str]]:
    """GRUB's shell-like reader: quotes, comments where a word would begin, and operators outside of words.

    Braces that belong to an expansion or a word do not occur in our templates.
    """
    commands: list[list[str]] = [[]]
    position = 0
    while position < len(script):
        match = _GRUB_TOKEN.match(script, position)
        assert match is not None, script[position:]
        position = match.end()
        if match.lastgroup in ("end", "operator"):
            commands.append([match.group()])
            commands.append([])
        elif match.lastgroup == "word":
            commands[-1].append(re.sub(r"""^(['"])(.*)\1$""", r"\2", match.group(), flags=re.DOTALL))
    return [command for command in commands if command and command != ["\n"]]


def pi_lines(script: str) -> list[list[str]]:
    """The firmware's files: lines of which `#` begins a comment and `[` a section, and one line of words."""
    return [line.split(" ") for line in script.split("\n") if line and not line.startswith("#")]


READERS = {
    ScriptKind.IPXE: (ipxe_commands, ["kernel"]),
    ScriptKind.PXELINUX: (pxelinux_commands, ["APPEND"]),
    ScriptKind.GRUB: (grub_commands, ["if", "linux"]),
    # U-Boot's boot/pxe_utils.c reads PXELINUX's language; what it makes of a kernel line besides is in EXPANSIONS.
    ScriptKind.UBOOT: (pxelinux_commands, ["APPEND"]),
    ScriptKind.UBOOT_SEARCH: (pxelinux_commands, ["none"]),
    ScriptKind.PI_CONFIG: (pi_lines, ["none"]),
    ScriptKind.PI_CMDLINE: (pi_lines, []),
}


def skeleton(kind: ScriptKind, script: str) -> list[str]:
    return [command[0] for command in READERS[kind][0](script)]


# What our own templates expand; PXELINUX expands nothing, so a dollar means nothing to it.
EXPANSIONS = {
    ScriptKind.IPXE: {f"${{{name}}}" for name in ("failed", "message", "attempt", "platform", "selected", "errno")},
    ScriptKind.GRUB: {"$failed"},
    ScriptKind.PXELINUX: set(),
    ScriptKind.UBOOT: set(),
    ScriptKind.UBOOT_SEARCH: set(),
    ScriptKind.PI_CONFIG: set(),
    ScriptKind.PI_CMDLINE: set(),
}
# Whoever reads these takes a dollar for a letter.
KNOW_NO_DOLLAR = {ScriptKind.PXELINUX, ScriptKind.PI_CMDLINE}


@settings(deadline=None)  # a first rendering on a busy machine takes long
@given(text=spaced, hint=spaced, args=arguments, hostname=st.one_of(words, st.just("lab-01")))
@example(text="", hint="", args=(), hostname="${net0/mac}")
@example(text="", hint="", args=("||", "reboot"), hostname="a;b")
def test_no_input_changes_the_commands(text: str, hint: str, args: tuple[str, ...], hostname: str) -> None:
    for kind in ScriptKind:
        for target, plain in zip(targets(text, hint, args, hostname), PLAIN, strict=True):
            if not has_script(kind, target):
                continue
            try:
                script = RENDERER.render(kind, target, CONTEXT)
            except InvalidInput:
                assert isinstance(
                    target, ImageTarget | SanTarget | MenuTarget
                )  # a text is never refused, a word may be
                continue
            assert skeleton(kind, script) == skeleton(kind, RENDERER.render(kind, plain, CONTEXT))
            assert script.isascii()
            assert set(re.findall(r"\$\{[^}]*\}?|\$\w*", script)) <= EXPANSIONS[kind] or kind in KNOW_NO_DOLLAR


@settings(deadline=None)
@given(args=st.lists(st.from_regex(r"[!-~]{1,16}", fullmatch=True), max_size=5).map(tuple))
def test_the_kernel_gets_exactly_the_words_it_was_given(args: tuple[str, ...]) -> None:
    target = replace(make_target(), kernel_args=args)
    for kind, (read, command) in READERS.items():
        try:
            words = kernel_line(target, server=CONTEXT.server, http_port=8080, root=RootPlace("/srv/x"))
            script = RENDERER.render(kind, target, CONTEXT)
        except InvalidInput:
            continue
        if kind in (ScriptKind.PI_CONFIG, ScriptKind.UBOOT_SEARCH):
            continue  # its kernel line is in the other file
        (line,) = [each for each in read(script) if each[: len(command)] == command]
        # iPXE and GRUB name the kernel and what else belongs to it first.
        assert tuple(line[-len(words) :]) == words
