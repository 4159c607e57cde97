"""Changing a version: `netboot image edit`, `drafts`, `unmount` and `discard`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from netboot.cli.image.readying import make_ready
from netboot.cli.output import date, print_json, print_table, size
from netboot.cli.place import DataDirOption, JsonOption, Place, complete_image, place_of
from netboot.cli.shapes import draft_shape
from netboot.errors import Conflict, InvalidInput, NetbootError
from netboot.images.attach import is_mounted, mount, tree_of, withdraw
from netboot.images.chroot import enter
from netboot.images.draft import DamagedDraft, Draft, Drafts, locked
from netboot.images.machine import ESCAPE, machine_argv, take_kernel
from netboot.lab.kvm import find_accelerator
from netboot.model.names import VersionRef
from netboot.system.beneath import exists_beneath
from netboot.system.commands import run_in_front
from netboot.system.users import user_name


def complete_draft(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of drafts, for the shell; nothing when they cannot be read."""
    try:
        place = place_of(ctx, ctx.params.get("data_dir"))
        return [each.name for each in drafts_of(place).list() if each.name.startswith(incomplete)]
    except (NetbootError, OSError):
        return []


DraftArgument = Annotated[str, typer.Argument(metavar="DRAFT", help="The draft's name.", autocompletion=complete_draft)]


def add_to(app: typer.Typer) -> None:
    app.command()(edit)
    app.command("drafts")(list_drafts)
    app.command("unmount")(unmount_draft)
    app.command()(discard)


def edit(
    ctx: typer.Context,
    image: Annotated[
        str | None,
        typer.Argument(metavar="IMAGE[:REF]", help="The version to open a draft of.", autocompletion=complete_image),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="DRAFT", help="The draft's name [default: the image's].", autocompletion=complete_draft
        ),
    ] = None,
    shell: Annotated[bool, typer.Option("--shell", help="Work in it, in a shell of its own.")] = False,
    commands: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="COMMAND", help="Run a command line in it; may be given several times."),
    ] = None,
    shall_mount: Annotated[bool, typer.Option("--mount", help="Show its files in a folder, and print which.")] = False,
    boot: Annotated[
        bool, typer.Option("--boot", help="Boot it as a virtual machine, writable, on this terminal.")
    ] = False,
    memory: Annotated[int, typer.Option("--memory", metavar="MIB", help="Memory of that machine.", min=128)] = 1024,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What the change is for.")] = "",
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Open a draft of a version, or go on with one, and change it.

    A draft is a writable snapshot: it opens at once, whatever the image's size, and stores only what is changed.  The
    version that it is a draft of stays as it is, and clients notice nothing until the draft is committed and promoted.
    Of a version that is stored as changes and whose root nobody needed yet, the root is made first.
    Without IMAGE an open draft is gone on with.  Several drafts of one image may be open.

    Programs in the draft (--shell, --run) run as root within the image, with the network and name servers of this
    machine; packages may be installed, but no service is started.  In a machine (--boot) all of it runs; shut it down
    from inside, or press Ctrl-A X.

    \b
    Examples:
      netboot image edit debian-minimal --name with-jq --run 'apt-get update && apt-get install -y jq'
      netboot image edit --name with-jq --shell
      cp motd "$(netboot image edit --name with-jq --mount)/etc/motd"; netboot image unmount with-jq
      netboot image edit --name with-jq --boot

    \b
    Exit codes: 0 done; 2 the command line is wrong; 3 no such image, version or draft; 4 there is such a draft already,
    or somebody is at work on it; 5 not root; 6 a program or kernel feature is missing; else that of the command.
    """
    if sum((shell, bool(commands), shall_mount, boot)) > 1:
        raise InvalidInput("--shell, --run, --mount and --boot exclude each other", hint="do one after the other")
    place = place_of(ctx, data_dir)
    draft = _opened(place, image, name, note, quiet=json_)
    if shell or commands:
        raise typer.Exit(_work(draft, commands or [], shell=shell))
    if boot:
        raise typer.Exit(_boot(draft, memory))
    if shall_mount:
        folder = mount(draft)
        if json_:
            print_json({**draft_shape(draft, is_mounted=True), "folder": str(folder)})
        else:
            typer.echo(folder)
    elif json_:
        print_json(draft_shape(draft, is_mounted=is_mounted(draft)))
    else:
        typer.echo(f"draft {draft.name} of {draft.note.parent} is open")


def list_drafts(ctx: typer.Context, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """List the drafts that are open.

    \b
    Examples:
      netboot image drafts
      netboot image drafts --json | jq -r '.[].name'

    \b
    Exit codes: 0 listed; 1 a draft cannot be read; 5 not root.
    """
    drafts = drafts_of(place_of(ctx, data_dir)).list()
    if json_:
        print_json([draft_shape(each, is_mounted=is_mounted(each)) for each in drafts])
        return
    heads = ("DRAFT", "OF", "OPENED", "BY", "CHANGES", "MOUNTED", "NOTE")
    print_table(heads, [_row(each) for each in drafts])


def unmount_draft(ctx: typer.Context, draft: DraftArgument, data_dir: DataDirOption = None) -> None:
    """Take away the folder that `netboot image edit --mount` made; what was changed there is kept in the draft.

    \b
    Examples:
      netboot image unmount with-jq

    \b
    Exit codes: 0 it is not mounted (any more); 3 no such draft; 4 somebody uses the folder; 5 not root.
    """
    withdraw(drafts_of(place_of(ctx, data_dir)).get(draft))


def discard(
    ctx: typer.Context,
    draft: DraftArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Throw a draft away, with all that was changed in it.

    \b
    Examples:
      netboot image discard with-jq
      netboot image discard with-jq --yes

    \b
    Exit codes: 0 it is gone; 2 nobody can be asked; 3 no such draft; 4 somebody is at work on it; 5 not root;
    130 not confirmed.
    """
    drafts = drafts_of(place_of(ctx, data_dir))
    place = drafts.place(draft)
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInput("there is nobody to ask whether to throw it away", hint="say --yes")
        typer.confirm(f"Throw away draft {draft} of {_parent(drafts, draft)}?", abort=True, err=True)
    withdraw(place)
    drafts.discard(place)
    typer.echo(f"draft {draft} is gone")


def drafts_of(place: Place) -> Drafts:
    return Drafts(place.data.images)


def _opened(place: Place, image: str | None, name: str | None, note: str, *, quiet: bool) -> Draft:
    """The draft to work on: a new one when an image is named."""
    drafts = drafts_of(place)
    if image is None:
        if name is None:
            raise InvalidInput("neither an image nor a draft is named", hint="netboot image drafts lists what is open")
        return drafts.get(name)
    ref = VersionRef.parse(image)
    version = place.images.get(ref)
    name = name or ref.image.replace(".", "-")
    drafts.check_free(name)  # before its root is made, which may take a while
    root = make_ready(place.images, version, quiet=quiet)
    return drafts.open(name, version, root, who=user_name(), note=note)


def _work(draft: Draft, commands: list[str], *, shell: bool) -> int:
    """Run the commands one after the other, as long as they succeed; or a shell."""
    with tree_of(draft) as tree:
        if shell:
            return enter(tree, [_shell_of(draft), "-l"])
        for command in commands:
            if status := enter(tree, ["/bin/sh", "-c", command]):
                typer.echo(f"netboot: {command!r} ended with status {status}; the draft is kept", err=True)
                return status
    return 0


def _shell_of(draft: Draft) -> str:
    return "/bin/bash" if exists_beneath(draft.tree, "bin/bash") else "/bin/sh"


def _boot(draft: Draft, memory_mib: int) -> int:
    if is_mounted(draft):
        raise Conflict(f"draft {draft.name} is mounted", hint=f"netboot image unmount {draft.name}")
    kernel, initrd = take_kernel(draft)
    accelerator = find_accelerator()
    typer.echo(f"booting draft {draft.name}; shut it down from inside, or press {ESCAPE}", err=True)
    with locked(draft):
        argv = machine_argv(draft.disk, kernel, initrd, accelerator=accelerator, memory_mib=memory_mib)
        return run_in_front(argv)


def _row(draft: Draft) -> tuple[object, ...]:
    note = draft.note
    shown = draft.tree if is_mounted(draft) else None
    return draft.name, note.parent, date(note.created_at), note.who, size(draft.stored_bytes), shown, note.note or None


def _parent(drafts: Drafts, name: str) -> str:
    """The version that it is a draft of, for people."""
    try:
        return drafts.get(name).note.parent
    except DamagedDraft:
        return "what its damaged note does not tell"
