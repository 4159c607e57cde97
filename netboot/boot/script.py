"""Scripts for boot loaders: a BootTarget printed in the loader's language by a Jinja2 template.

Templates hold no decisions and cannot inject: whatever they print passes through the language's `word` unless
a filter made it a text, in an operator's own templates too.  They are compiled once.  An operator overrides a
template by a file of the same name in a folder of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path

from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, StrictUndefined, Template, TemplateError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from netboot.boot.artefacts import INITRD, KERNEL, artefact_path, bootable
from netboot.boot.cmdline import kernel_line
from netboot.boot.quoting import GRUB, IPXE, PI, PXELINUX, UBOOT, Language, Quoted
from netboot.boot.scriptstencils import ScriptStencils
from netboot.errors import InvalidInput
from netboot.model.root import RootPlace
from netboot.model.target import BootTarget, DeniedTarget, ImageTarget, LocalTarget, MenuTarget, SanTarget


class ScriptKind(StrEnum):
    """The language of a script; also its name in URLs and events.

    U-Boot can be told to search for its script by a script of another language.  A Raspberry Pi takes two texts, and
    has none for anything but one image to boot.
    """

    IPXE = "ipxe"
    PXELINUX = "pxelinux"
    GRUB = "grub"
    UBOOT = "u-boot"
    UBOOT_SEARCH = "u-boot-search"
    PI_CONFIG = "raspberry-pi"
    PI_CMDLINE = "raspberry-pi-cmdline"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptContext:
    """What a script needs besides its target: our address as the client sees it, and where each root is reached."""

    server: IPv4Address
    http_port: int
    root_of: Callable[[ImageTarget], RootPlace]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One bootable version, as templates see it.  `kernel` and `initrd` are paths, the same over HTTP and TFTP."""

    label: str
    hostname: str
    kernel: str
    initrd: str
    args: tuple[str, ...]


# Where a kind of target has its template; `{}` is the target's name.
_LANGUAGES: dict[ScriptKind, tuple[Language, str]] = {
    ScriptKind.IPXE: (IPXE, "ipxe/{}.ipxe.j2"),
    ScriptKind.PXELINUX: (PXELINUX, "pxelinux/{}.cfg.j2"),
    ScriptKind.GRUB: (GRUB, "grub/{}.cfg.j2"),
    ScriptKind.UBOOT: (UBOOT, "u-boot/{}.cfg.j2"),
    ScriptKind.UBOOT_SEARCH: (UBOOT, "u-boot/boot.scr.j2"),
    ScriptKind.PI_CONFIG: (PI, "raspberry-pi/config.txt.j2"),
    ScriptKind.PI_CMDLINE: (PI, "raspberry-pi/cmdline.txt.j2"),
}

_TEMPLATES: dict[type[BootTarget], str] = {
    ImageTarget: "image",
    SanTarget: "san",
    MenuTarget: "menu",
    LocalTarget: "local",
    DeniedTarget: "denied",
}

# What templates are given: frozen fields and nothing that could be called.
_OUR_VALUES = frozenset((Entry, *_TEMPLATES))

_IMAGES_ALONE = (ScriptKind.PI_CONFIG, ScriptKind.PI_CMDLINE)


def has_script(kind: ScriptKind, target: BootTarget) -> bool:
    """Whether this kind of script can say what the target is."""
    return _can_say(kind, type(target))


def _can_say(kind: ScriptKind, target: type[BootTarget]) -> bool:
    if target is SanTarget:
        return kind is ScriptKind.IPXE
    return target is ImageTarget or kind not in _IMAGES_ALONE


class Renderer:
    """Renders with the templates of `templates_dir`, or of `override_dir` where it has one of the same name.

    Raises `InvalidInput` at once for a template that cannot be read or does not parse, naming file and line.
    """

    def __init__(self, templates_dir: Path, override_dir: Path | None = None) -> None:
        if override_dir is not None and not override_dir.is_dir():
            raise InvalidInput(
                f"{override_dir} is no folder, so it holds no templates",
                hint="make it, or correct the setting templates",
            )
        folders = [folder for folder in (override_dir, templates_dir) if folder is not None]
        loader = ChoiceLoader([FileSystemLoader(folder) for folder in folders])
        self._compiled = {
            (kind, target): _compile(loader, language, place.format(name))
            for kind, (language, place) in _LANGUAGES.items()
            for target, name in _TEMPLATES.items()
            if _can_say(kind, target)
        }
        # An operator's template may do with a mark what two samples do not show, as compare it with a name.
        self._stencils = ScriptStencils() if override_dir is None else None

    def render(self, kind: ScriptKind, target: BootTarget, context: ScriptContext) -> str:
        """The script, of a target that `has_script`.

        Raises `InvalidInput` for a value that the loader's language cannot express.
        """
        if self._stencils is not None and isinstance(target, ImageTarget):
            root = context.root_of(target)
            beside = kind, context.server, context.http_port, root
            script = self._stencils.fill(
                target,
                beside,
                lambda sample: self._whole(kind, sample, replace(context, root_of=lambda _: root)),
            )
            if script is not None:
                return script
        return self._whole(kind, target, context)

    def _whole(self, kind: ScriptKind, target: BootTarget, context: ScriptContext) -> str:
        template = self._compiled[kind, type(target)]
        base = f"/boot/{target.mac.dashed}"
        values = {
            "target": target,
            "entries": tuple(_entry(each, context) for each in bootable(target)),
            "http": f"http://{context.server}:{context.http_port}",
            # Debian's signed GRUB has no module for HTTP, and Secure Boot lets it load none.
            "grub_tftp": Quoted(f"(tftp,{context.server})"),
            "script": f"{base}/{kind}",
            "report": f"{base}/report",
        }
        try:
            return template.render(values)
        except (TemplateError, ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"template {template.name} cannot be rendered: {error}",
                hint="correct the template, or take it out of the override folder",
            ) from error


def render_text(source: str, values: Mapping[str, str], *, name: str) -> str:
    """A text file for clients, from a template of that `name`; values are printed as they are.

    Raises `InvalidInput` for a template that does not parse or cannot be rendered, naming its line where it is known.
    """
    try:
        return _TEXTS.from_string(source).render(values)
    except (TemplateError, ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{name}, line {line}" if line else name
        raise InvalidInput(f"template {where}: {error}", hint="correct the template") from error


def _entry(target: ImageTarget, context: ScriptContext) -> Entry:
    version = target.version
    return Entry(
        label=version.label,
        hostname=target.hostname,
        kernel=artefact_path(target.mac, version, KERNEL),
        initrd=artefact_path(target.mac, version, INITRD),
        args=kernel_line(
            target,
            server=context.server,
            http_port=context.http_port,
            root=context.root_of(target),
        ),
    )


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's, which takes a fifth of a render to find that our own values have nothing to hide."""

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        if type(obj) in _OUR_VALUES and not attr.startswith("_"):
            return True
        return super().is_safe_attribute(obj, attr, value)


_TEXTS = _Sandbox(
    undefined=StrictUndefined,
    autoescape=False,  # what is made is configuration for programs of all kinds
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def _compile(loader: BaseLoader, language: Language, name: str) -> Template:
    environment = _Sandbox(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,  # `finalize` quotes for the loader's language; HTML's rules are of no use here
        finalize=lambda value: _printed(value, language),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # else each include asks the disk, at every render, whether it has changed
    )
    environment.filters = {
        "text": lambda value: Quoted(language.text(str(value))),
        "words": lambda values: _words(values, language),
    }
    try:
        template = environment.get_template(name)
        template.globals = dict(template.globals)  # a chain of two, which would be copied name by name at every render
        return template
    except (TemplateError, OSError, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        said = error.message if isinstance(error, TemplateError) else str(error)
        raise InvalidInput(
            f"template {name}{where}: {said}",
            hint="correct the template, or take it out of the override folder",
        ) from error


def _printed(value: object, language: Language) -> object:
    """What an expression of a template prints: one word, unless a filter made more of it."""
    if isinstance(value, Quoted | Undefined):
        return value
    return Quoted(language.word(str(value)))


def _words(values: Iterable[object], language: Language) -> Quoted:
    return Quoted(" ".join(language.word(str(value)) for value in values))
