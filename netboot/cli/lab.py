"""`netboot lab`: diskless clients in a virtual network, to see that everything works before a real one is at hand."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from netboot.cli.clientoptions import RootFormatOption, RootOption, UpperOption, VerifyOption
from netboot.cli.edits import wishes_of
from netboot.cli.output import print_json
from netboot.cli.place import DataDirOption, JsonOption, complete_image, place_of
from netboot.config.wishes import options_for
from netboot.model.names import VersionRef

if TYPE_CHECKING:
    from netboot.lab.lab import LabSpec

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Boot diskless clients in a virtual network.")

KeepOption = Annotated[bool, typer.Option("--keep", help="Leave it running until Ctrl-C.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="S", min=1, help="Seconds a boot may take.")]
MemoryOption = Annotated[int, typer.Option("--memory", metavar="MIB", min=512, help="Each client's memory in MiB.")]


# Without this, Typer would take the one verb for the noun itself.
@app.callback()
def _lab() -> None:
    """Boot diskless clients in a virtual network."""


@app.command()
def boot(
    ctx: typer.Context,
    firmware: Annotated[
        Literal["bios", "uefi", "uefi-http", "secure", "arm64", "u-boot"],
        typer.Option("--firmware", help="What the clients start with; see below."),
    ] = "bios",
    dhcp: Annotated[
        Literal["own", "proxy"],
        typer.Option(
            "--dhcp", help="Who lends addresses: own, our daemon, or proxy, dnsmasq with our daemon beside it."
        ),
    ] = "own",
    loader: Annotated[
        Literal["auto", "ipxe", "pxelinux", "grub"],
        typer.Option("--loader", help="The clients' boot loader: auto (iPXE), ipxe, pxelinux (bios) or grub (UEFI)."),
    ] = "auto",
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, max=50, help="How many clients.")] = 1,
    image: Annotated[
        str,
        typer.Option("--image", metavar="IMAGE[:REF]", help="What they boot.", autocompletion=complete_image),
    ] = "debian-minimal",
    initramfs: Annotated[
        Literal["initramfs-tools", "dracut"],
        typer.Option(
            "--initramfs", help="What made its initrd: with dracut the image boots that has -dracut behind its name."
        ),
    ] = "initramfs-tools",
    root: RootOption = None,
    root_format: RootFormatOption = None,
    verify: VerifyOption = None,
    upper: UpperOption = None,
    memory: MemoryOption = 1024,
    timeout: TimeoutOption = 600,
    screenshot: Annotated[
        Path | None,
        typer.Option(
            "--screenshot",
            metavar="FILE",
            readable=False,
            help="Give the clients screens, and keep the first one's as PNG once a desktop is drawn on it.",
        ),
    ] = None,
    keep: KeepOption = False,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Boot QEMU clients over PXE in a network of their own, and wait until each is up.

    Network namespace, bridge, taps and machines are made for the purpose and are gone afterwards, however the lab
    ends.  `bios` is SeaBIOS with iPXE in the network card, `uefi` is OVMF with its own PXE stack, `uefi-http` OVMF that
    boots by HTTP, `secure` OVMF with Secure Boot, which lets no loader but grub start.  `arm64` (UEFI) and `u-boot`
    are machines that take an image for arm64.  A client counts as up when it said so and its console shows
    a login prompt.  Consoles, the daemon's log and its configuration stay below lab/ in the data directory.  Takes
    root; uses KVM where it works, and emulation, which is slow, elsewhere.

    \b
    Examples:
      netboot lab boot
      netboot lab boot --firmware uefi --dhcp proxy --count 2
      netboot lab boot --firmware secure --loader grub
      netboot lab boot --root nfs-file --root-format erofs --verify
      netboot lab boot --root iscsi --firmware uefi --initramfs dracut
      netboot lab boot --image debian-desktop --memory 2048 --timeout 1500 --screenshot desktop.png
      netboot lab boot --json | jq '.clients[].seconds'

    \b
    Exit codes: 0 all clients are up; 1 one is not, or draws no desktop for --screenshot; 3 no such image; 5 not root;
    6 a program is missing; 130 interrupted.
    """
    from netboot.lab.client import LabFirmware
    from netboot.lab.config import LabDhcp
    from netboot.lab.lab import LabSpec
    from netboot.model.loader import LoaderChoice

    spec = LabSpec(
        firmware=LabFirmware(firmware),
        dhcp=LabDhcp(dhcp),
        loader=LoaderChoice(loader),
        data_dir=place_of(ctx, data_dir).data.root,
        count=count,
        memory_mib=memory,
        timeout_s=timeout,
        keep=keep,
        image=_variant(VersionRef.parse(image), initramfs),
        wishes=wishes_of(root=root, root_format=root_format, verify=verify, upper=upper),
        screenshot=screenshot.absolute() if screenshot else None,
    )
    place_of(ctx, data_dir).images.get(spec.image)
    words = ["lab", "boot", *spec_words(spec), *(["--json"] if json_ else [])]
    raise typer.Exit(run_within_walls(spec, words, quiet=json_))


def _variant(image: VersionRef, initramfs: str) -> VersionRef:
    """The image of the same system whose initrd this program made."""
    suffix = "" if initramfs == "initramfs-tools" else f"-{initramfs}"
    return image if image.image.endswith(suffix) else VersionRef(f"{image.image}{suffix}", image.selector)


def spec_words(spec: LabSpec) -> list[str]:
    """The options that make this spec again, for the process within the walls."""
    named: dict[str, object] = {
        "--firmware": spec.firmware,
        "--dhcp": spec.dhcp,
        "--loader": spec.loader,
        "--count": spec.count,
        "--image": spec.image,
        "--memory": spec.memory_mib,
        "--timeout": spec.timeout_s,
        "--data-dir": spec.data_dir,
    }
    if spec.screenshot:
        named["--screenshot"] = spec.screenshot
    words = [word for option, value in named.items() for word in (option, str(value))] + options_for(spec.wishes)
    return [*words, "--keep"] if spec.keep else words


def run_within_walls(spec: LabSpec, words: list[str], *, quiet: bool = False, shown: bool = True) -> int:
    """Run the lab, and give the exit status; outside of a lab's walls, by running `netboot WORDS` within new ones.

    What those print goes to our stderr unless it is `shown`.
    """
    from netboot.cli.labshow import listener_for, result_lines
    from netboot.lab.namespace import is_inside, run_inside
    from netboot.lab.run import run_lab

    if not is_inside():
        return run_inside([sys.executable, "-m", "netboot", *words], stdout=None if shown else sys.stderr)
    with ExitStack() as stack:
        listener = listener_for(spec.count, quiet=quiet)
        if isinstance(listener, AbstractContextManager):
            stack.enter_context(listener)
        result = run_lab(spec, listener)
    if quiet:
        print_json(result.as_json())
    else:
        typer.echo("\n".join(result_lines(result)))
    return 0 if result.ok else 1
