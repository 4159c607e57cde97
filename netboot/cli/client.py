"""`netboot client`: which machines there are, and what each shall boot."""

from __future__ import annotations

import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated

import typer

from netboot.boot.loaderfiles import loader_files
from netboot.cli import clientdata, clientdisk
from netboot.cli.addresses import check_free
from netboot.cli.clientoptions import (
    AddressOption,
    HostKeysOption,
    ImageOption,
    KernelArgOption,
    KeyboardOption,
    LoaderOption,
    LocaleOption,
    PersistentOption,
    PersistOption,
    PersistSizeOption,
    ProfileOption,
    RootFormatOption,
    RootOption,
    SanOption,
    ServedConfigOption,
    ShellOption,
    StrategyOption,
    TimezoneOption,
    UpperOption,
    VerifyOption,
)
from netboot.cli.edits import command_for, edited, edits_of
from netboot.cli.explain import explain_client, explanation_shape
from netboot.cli.output import date, print_json, print_table, printable
from netboot.cli.place import (
    ClientArgument,
    ConfigOption,
    DataDirOption,
    JsonOption,
    Place,
    place_of,
)
from netboot.cli.shapes import client_shape, standing_shape, telling_shape
from netboot.cli.standing import Standing, standings
from netboot.cli.stories import Stories
from netboot.cli.telling import telling_of
from netboot.errors import InvalidInput
from netboot.model.boot import Outcome
from netboot.model.client import Client
from netboot.model.mac import MacAddress
from netboot.model.names import parse_client_name
from netboot.personal.belongings import belongings, moved_belongings
from netboot.store import ClientRepository, Engine, LeaseRepository

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Name clients and assign images to them.")
app.add_typer(clientdata.app, name="data")
app.add_typer(clientdisk.app, name="disk")


@app.command()
def add(
    ctx: typer.Context,
    mac: Annotated[str, typer.Argument(metavar="MAC", help="Its MAC address, in any usual spelling.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Its name, which becomes its hostname.")],
    image: ImageOption = None,
    san: SanOption = None,
    address: AddressOption = None,
    profile: ProfileOption = None,
    loader: LoaderOption = None,
    kernel_arg: KernelArgOption = None,
    strategy: StrategyOption = None,
    shell: ShellOption = None,
    root: RootOption = None,
    root_format: RootFormatOption = None,
    verify: VerifyOption = None,
    upper: UpperOption = None,
    persistent: PersistentOption = None,
    locale: LocaleOption = None,
    keyboard: KeyboardOption = None,
    timezone: TimezoneOption = None,
    host_keys: HostKeysOption = None,
    persist: PersistOption = None,
    persist_size: PersistSizeOption = None,
    config: ServedConfigOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Add a client.

    The daemon knows it at once; it need not be told.  Without an image, and without a disk that brings its own loader
    (--san), the client is known but boots nothing until `netboot client set NAME --image IMAGE`.  An address may not be
    reserved in the daemon's configuration, nor lent to another machine.

    \b
    Examples:
      netboot client add 52:54:00:12:34:56 --name lab-07 --image debian-minimal
      netboot client add 5254.0012.3456 --name kiosk --image debian-minimal:3 --address 10.9.0.50
      netboot client add 52-54-00-12-34-56 --name lab-08 --image debian-minimal --kernel-arg console=ttyS0

    \b
    Exit codes: 0 added; 2 a value is wrong; 3 there is no such image;
    4 the MAC address, name or address is another's.  When it fails, nothing is changed.
    """
    place = place_of(ctx, data_dir)
    blank = Client(mac=MacAddress.parse(mac), name=parse_client_name(name), created_at=round(time.time(), 3))
    wanted = edits_of(
        place,
        image=image,
        san=san,
        address=address,
        profiles=profile,
        loader=loader,
        kernel_args=kernel_arg,
        strategy=strategy,
        shell=shell,
        wishes={
            "root": root,
            "root_format": root_format,
            "verify": verify,
            "upper": upper,
            "persistent": persistent,
            "locale": locale,
            "keyboard": keyboard,
            "timezone": timezone,
            "host_keys": host_keys,
            "persist": persist,
            "persist_size": persist_size,
        },
    )
    client = edited(blank, wanted)
    with place.database(create=True) as engine:
        _check_address(client.address, {client.mac}, engine, place, config)
        ClientRepository(engine).add(client)
    if json_:
        print_json(client_shape(client))
    else:
        typer.echo(f"added client {client.name} ({client.mac}), {_boots(client)}")


@app.command("list")
def list_clients(ctx: typer.Context, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """List the clients, by name: what each is assigned to, runs, and gets at its next boot.

    RUNS is the version that its last boot was sent, with how far that boot came unless it is up; NEXT is the version
    that it would be sent now; either may be a disk that brings its own loader (--san).  REBOOT says whether booting
    again would change what it runs.

    \b
    Examples:
      netboot client list
      netboot client list --json | jq -r '.[] | select(.standing.reboot_changes) | .name'
      netboot client list --json | jq -r '.[] | select(.image == null) | .name'

    \b
    Exit codes: 0 listed; 3 there is no database in the data directory.
    """
    place = place_of(ctx, data_dir)
    with place.database() as engine:
        clients = ClientRepository(engine).list()
        standing = standings(clients, Stories(engine), place.images)
    if json_:
        shapes = [{**client_shape(each), "standing": standing_shape(standing[each.mac])} for each in clients]
        print_json(shapes)
        return
    heads = ("NAME", "MAC", "IMAGE", "RUNS", "NEXT", "REBOOT", "ADDRESS", "PROFILES", "LOADER")
    rows = [
        (c.name, c.mac, c.image, *_stands(standing[c.mac]), c.address, " ".join(c.profiles) or None, c.loader)
        for c in clients
    ]
    print_table(heads, rows)


@app.command()
def show(ctx: typer.Context, client: ClientArgument, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """Show what is recorded of a client, and how its firmware is told what to boot.

    See `netboot client explain` for what it will boot in the end, and `netboot boot show` for how its last boot went.

    \b
    Examples:
      netboot client show lab-07
      netboot client show 52:54:00:12:34:56 --json

    \b
    Exit codes: 0 shown; 3 no such client.
    """
    with place_of(ctx, data_dir).database() as engine:
        found = ClientRepository(engine).get(client)
        telling = telling_of(found.mac, found, engine)
    shape = client_shape(found)
    if json_:
        print_json({**shape, "told": telling_shape(telling) if telling else None})
        return
    print_table(("SETTING", "VALUE"), [(key, _said(key, value)) for key, value in shape.items()])
    typer.echo("")
    if telling is None:
        typer.echo("how its firmware is told what to boot: not known, it has not asked yet")
        return
    typer.echo(f"how its firmware is told what to boot: {telling.strategy}")
    typer.echo(f"  because {telling.reason}")
    typer.echo(f"  as firmware {telling.fingerprint}, dhcp {telling.mode}")


@app.command("set")
def set_client(
    ctx: typer.Context,
    client: ClientArgument,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    mac: Annotated[
        str | None, typer.Option("--mac", metavar="MAC", help="A new MAC address: its network card was changed.")
    ] = None,
    image: ImageOption = None,
    san: SanOption = None,
    address: AddressOption = None,
    profile: ProfileOption = None,
    loader: LoaderOption = None,
    kernel_arg: KernelArgOption = None,
    no_kernel_args: Annotated[bool, typer.Option("--no-kernel-args", help="Take all its kernel words away.")] = False,
    strategy: StrategyOption = None,
    shell: ShellOption = None,
    root: RootOption = None,
    root_format: RootFormatOption = None,
    verify: VerifyOption = None,
    upper: UpperOption = None,
    persistent: PersistentOption = None,
    locale: LocaleOption = None,
    keyboard: KeyboardOption = None,
    timezone: TimezoneOption = None,
    host_keys: HostKeysOption = None,
    persist: PersistOption = None,
    persist_size: PersistSizeOption = None,
    config: ServedConfigOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Change a client; what is not named stays.

    Takes effect with the client's next boot.  `--image none` assigns nothing, `--san none` has it boot its image again,
    `--address none` gives the reserved address up, `--profile none` takes all its profiles away.  --profile and
    --kernel-arg replace all that it had.
    What a profile holds stands in the daemon's configuration; `netboot client explain --config` shows whether it is
    there, and which value comes from where.  --strategy is for firmware that does not boot by what its make has
    taught; `auto` gives it back to that.

    \b
    Examples:
      netboot client set lab-07 --image debian-minimal:4
      netboot client set lab-07 --image none
      netboot client set till-2 --san iscsi:10.9.0.2::::iqn.2010-04.org.example:till-2
      netboot client set lab-07 --profile lab-room --profile slow-disks
      netboot client set lab-07 --loader ipxe/ipxe.efi
      netboot client set lab-07 --loader pxelinux --kernel-arg nomodeset --kernel-arg console=ttyS0
      netboot client set lab-07 --strategy discovery
      netboot client set lab-07 --root nfs-file --root-format erofs --verify

    \b
    Exit codes: 0 changed; 2 a value is wrong; 3 no such client or image; 4 the name or address is another's.
    When it fails, nothing is changed.
    """
    place = place_of(ctx, data_dir)
    words = [] if no_kernel_args else kernel_arg
    edits = edits_of(
        place,
        image=image,
        san=san,
        address=address,
        profiles=profile,
        loader=loader,
        kernel_args=words,
        strategy=strategy,
        shell=shell,
        wishes={
            "root": root,
            "root_format": root_format,
            "verify": verify,
            "upper": upper,
            "persistent": persistent,
            "locale": locale,
            "keyboard": keyboard,
            "timezone": timezone,
            "host_keys": host_keys,
            "persist": persist,
            "persist_size": persist_size,
        },
    )
    edits |= {"name": parse_client_name(name)} if name is not None else {}
    edits |= {"mac": MacAddress.parse(mac)} if mac is not None else {}
    if not edits:
        raise InvalidInput("there is nothing to change", hint="name what shall change, as --image IMAGE")
    with place.database() as engine:
        repository = ClientRepository(engine)
        old = repository.get(client)
        _check_address(edits.get("address"), {old.mac, edits.get("mac", old.mac)}, engine, place, config)
        with moved_belongings(place.data, old.mac, edits.get("mac", old.mac)):
            new = repository.change(client, lambda current: edited(current, edits))
    if json_:
        print_json(client_shape(new))
    else:
        _print_changes(old, new)


@app.command()
def remove(
    ctx: typer.Context, client: ClientArgument, data_dir: DataDirOption = None, json_: JsonOption = False
) -> None:
    """Remove a client.

    It is unknown from then on; the configuration says what unknown clients get.  What it boots is not touched; the
    events of its boots stay, and so does what it kept on the server (`netboot client data`).  Prints the command that
    would bring it back.

    \b
    Example:
      netboot client remove lab-07

    \b
    Exit codes: 0 removed; 3 no such client.
    """
    place = place_of(ctx, data_dir)
    with place.database() as engine:
        gone = ClientRepository(engine).remove(client)
    if json_:
        print_json(client_shape(gone))
        return
    typer.echo(f"removed client {gone.name} ({gone.mac})")
    typer.echo(f"to bring it back: {command_for(gone)}")
    if any(each.mac == gone.mac for each in belongings(place.data)):
        typer.echo(f"what it kept on the server stays; to remove that too: netboot client data remove {gone.mac}")


@app.command()
def explain(
    ctx: typer.Context,
    client: ClientArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Explain what a client boots: each setting, its value, and where the value comes from.

    The answer is computed by the very function that the daemon asks, down to the kernel line and the script that the
    client would be sent.  Settings of the daemon are read from --config, by default from the file of the daemon that
    serves from the data directory; without one they are taken to be the defaults.  A MAC address that nobody added is
    explained, too.

    \b
    Examples:
      netboot client explain lab-07 --config /etc/netboot/netboot.toml
      netboot client explain 52:54:00:12:34:56 --json

    \b
    Exit codes: 0 explained, also when the answer is that it may not boot; 2 the file is wrong; 3 no such client.
    """
    place = place_of(ctx, data_dir)
    settings = place.config(config)
    with place.database() as engine:
        explanation = explain_client(
            client,
            engine=engine,
            images=place.images,
            loaders=loader_files(settings, place.data),
            config=settings,
            data=place.data,
        )
    if json_:
        print_json(explanation_shape(explanation))
        return
    typer.echo(f"{explanation.whose}: {explanation.result}")
    typer.echo(f"  because {explanation.reason}" + (f"; {explanation.hint}" if explanation.hint else ""))
    typer.echo("")
    print_table(
        ("SETTING", "VALUE", "FROM"), [(row.name, _said(row.name, row.value), row.source) for row in explanation.rows]
    )
    if found := explanation.preview:
        if found.kernel_line:
            typer.echo(f"\nkernel line:\n  {' '.join(found.kernel_line)}")
        typer.echo(f"\nscript ({found.kind}):")
        typer.echo("\n".join(f"  {line}" for line in found.script.rstrip("\n").splitlines()))


def _stands(standing: Standing) -> tuple[object, ...]:
    """What it runs, gets next, and what a reboot does, as cells of a table."""
    runs = standing.runs
    if runs is not None and standing.outcome is not Outcome.UP:
        runs = f"{runs} ({standing.outcome})"
    reboot = {True: "changes it", False: "the same", None: None}[standing.reboot_changes]
    return runs, standing.next, reboot


def _check_address(
    address: IPv4Address | None, whose: set[MacAddress], engine: Engine, place: Place, config: Path | None
) -> None:
    """Refuse an address that somebody else has, or is to have, than these MAC addresses."""
    if address is not None:
        check_free(address, whose, LeaseRepository(engine).load(), place.config(config), now=time.time())


def _boots(client: Client) -> str:
    if client.san:
        return f"boots from {client.san}"
    return f"boots {client.image}" if client.image else "boots nothing yet"


def _said(key: str, value: object) -> str:
    """A setting's value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " ".join(str(each) for each in value) or "-"
    if key == "created_at" and isinstance(value, float):
        return date(value)
    return printable(value)


def _print_changes(old: Client, new: Client) -> None:
    before, after = client_shape(old), client_shape(new)
    changed = [key for key in after if before[key] != after[key]]
    typer.echo(f"client {new.name}: " + ("changed" if changed else "nothing changed, it was so already"))
    for key in changed:
        typer.echo(f"  {key}: {_said(key, before[key])} -> {_said(key, after[key])}")
