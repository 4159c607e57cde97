"""The options of `client add` and `client set`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netboot.cli.place import complete_image

ImageOption = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="IMAGE[:REF]",
        help="What it boots: an image, for its tag stable or else its newest version, or IMAGE:TAG, or one version, as"
        " debian-minimal:3.",
        autocompletion=complete_image,
    ),
]
SanOption = Annotated[
    str | None,
    typer.Option(
        "--san",
        metavar="URI",
        help="A disk with a loader of its own that it boots from by iPXE, before any image:"
        " iscsi:SERVER:PROTOCOL:PORT:LUN:TARGET, as iscsi:10.9.0.2::::iqn.2010-04.org.example:disk7; or none.",
    ),
]
AddressOption = Annotated[
    str | None, typer.Option("--address", metavar="IP", help="The IPv4 address that is reserved for it.")
]
ProfileOption = Annotated[
    list[str] | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="A profile of the configuration; may be given several times, a later one wins over an earlier one.",
    ),
]
LoaderOption = Annotated[
    str | None,
    typer.Option(
        "--loader",
        metavar="LOADER",
        help="Its boot loader: auto (its profiles or firmware decide), ipxe, pxelinux, grub, or one file by name.",
    ),
]
KernelArgOption = Annotated[
    list[str] | None,
    typer.Option("--kernel-arg", metavar="WORD", help="A word for its kernel line; may be given several times."),
]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        metavar="STRATEGY",
        help="How its firmware is told what to boot: auto (what its make has taught), direct, invite, discovery, plain,"
        " pi or pi-late.",
    ),
]
ServedConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        readable=False,
        help="The daemon's configuration file, for what it says of --address; by default that of the daemon that serves"
        " from the data directory.",
    ),
]
ShellOption = Annotated[
    bool | None,
    typer.Option("--shell/--no-shell", help="Whether its console offers a root shell when its root fails."),
]
RootOption = Annotated[
    str | None,
    typer.Option(
        "--root",
        metavar="MODE",
        help="How it reaches its root: nfs, nfs-file or iscsi; none for what its profiles and the configuration say.",
    ),
]
RootFormatOption = Annotated[
    str | None,
    typer.Option(
        "--root-format",
        metavar="FORMAT",
        help="What it mounts by nfs-file and iscsi: ext4, erofs or squashfs; or none.",
    ),
]
VerifyOption = Annotated[
    bool | None,
    typer.Option("--verify/--no-verify", help="Whether it checks each block of its root, by nfs-file and iscsi."),
]
UpperOption = Annotated[
    str | None,
    typer.Option(
        "--upper",
        metavar="LAYER",
        help="Its temporary layer: a bound in memory, as 50% or 2g, zram:2g, disk:LABEL or crypt:LABEL; or none.",
    ),
]
PersistentOption = Annotated[
    str | None,
    typer.Option(
        "--persistent",
        metavar="HOW",
        help="Whether it has a writable disk of its own, by iscsi: reset (made anew for each boot), keep, or off; or"
        " none.",
    ),
]
HostKeysOption = Annotated[
    bool | None,
    typer.Option("--host-keys/--no-host-keys", help="Whether it gets ssh host keys that stay the same."),
]
LocaleOption = Annotated[
    str | None, typer.Option("--locale", metavar="LOCALE", help="Its locale, as de_DE.UTF-8; or none.")
]
KeyboardOption = Annotated[
    str | None,
    typer.Option("--keyboard", metavar="LAYOUT", help="Its keyboard's layout, as us or de-nodeadkeys; or none."),
]
TimezoneOption = Annotated[
    str | None, typer.Option("--timezone", metavar="ZONE", help="Its time zone, as Europe/Berlin; or none.")
]
PersistOption = Annotated[
    list[str] | None,
    typer.Option(
        "--persist",
        metavar="PATH",
        help="A path that it keeps from boot to boot, besides its profiles'; may be given several times; or none.",
    ),
]
PersistSizeOption = Annotated[
    str | None,
    typer.Option("--persist-size", metavar="SIZE", help="How much it can keep, as 500m or 10g; or none."),
]
