"""`netboot serve`: the daemon, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netboot.cli.place import DataDirOption


def add_to(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    ctx: typer.Context,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", readable=False, help="The configuration file.")],
    data_dir: DataDirOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would change of exports and targets, and do nothing.")
    ] = False,
) -> None:
    """Run the daemon: DHCP or ProxyDHCP, TFTP, HTTP and the NFS export of images.

    Listens on the interfaces that the file names and on no others.  Runs in the foreground, tells systemd when it is
    ready, reads the file again on SIGHUP, and ends cleanly on SIGTERM or Ctrl-C.

    \b
    Examples:
      netboot serve --config /etc/netboot/netboot.toml
      netboot serve --config netboot.toml --data-dir .data
      netboot serve --config /etc/netboot/netboot.toml --dry-run

    \b
    Exit codes: 0 stopped as asked; 2 the file is wrong; 5 a right is lacking;
    6 a port is taken, an interface or a program is missing.
    """
    # The daemon brings in every server; no other command shall pay for that.
    from netboot.daemon import plan
    from netboot.daemon import serve as run_daemon

    named = data_dir or ctx.find_root().params.get("data_dir")
    if dry_run:
        typer.echo("\n".join(plan(config, data_dir=named) or ["everything is exported as it shall be"]))
        return
    raise typer.Exit(run_daemon(config, data_dir=named))
