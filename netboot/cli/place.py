"""Where a command works: the data directory and the database, and the options that most commands share.

`--data-dir` may stand before the verb or after it; the nearer one counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netboot.config.paths import DATA_DIR_VARIABLE, DEFAULT_DATA_DIR, DataDir, recipes_dir
from netboot.errors import NetbootError
from netboot.images.store import ImageStore
from netboot.model.names import LATEST

if TYPE_CHECKING:
    from netboot.config import Config
    from netboot.store import Engine

# Of every Path option: not `readable`.  Typer would say that a file may not be read, but neither how to mend it nor
# with the exit code that stands for it.
DATA_DIR_HELP = f"The data directory [default: {DATA_DIR_VARIABLE}, else {DEFAULT_DATA_DIR}]."


@dataclass(frozen=True, slots=True)
class Place:
    """The data directory, and the database's URL when it is not the file in there."""

    data: DataDir
    database_url: str | None = None

    @classmethod
    def named(cls, data_dir: Path | None, *, database: str | None = None) -> Place:
        return cls(DataDir.find(data_dir, None), database)

    @contextmanager
    def database(self, *, create: bool = False) -> Iterator[Engine]:
        """The database; only what writes may make a new one."""
        from netboot.store import open_database  # takes half a second to load, and not every command asks it

        engine = open_database(self.database_url or self.data.root, create=create)
        try:
            yield engine
        finally:
            engine.dispose()

    @property
    def images(self) -> ImageStore:
        return ImageStore(self.data.images)

    def config(self, named: Path | None) -> Config:
        """The configuration of the named file, else of the daemon that serves from here or did last, else none.

        Raises as `load_config` does.
        """
        from netboot.config import Config, load_config  # loaded by who asks it, as the database is

        file = named or self._served_by()
        return load_config(file) if file else Config()

    def _served_by(self) -> Path | None:
        with suppress(OSError):
            file = Path(self.data.lock.read_text(encoding="utf-8").rstrip("\n"))
            return file if file.is_file() else None
        return None


def place_of(ctx: typer.Context, data_dir: Path | None) -> Place:
    """The place that the command line names."""
    place: Place = ctx.find_root().obj or Place.named(None)
    return dataclasses.replace(place, data=DataDir.find(data_dir, None)) if data_dir else place


def complete_client(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of clients, for the shell; nothing when they cannot be read."""
    from netboot.store import ClientRepository

    with suppress(NetbootError), completed_place(ctx).database() as engine:
        return [each.name for each in ClientRepository(engine).list() if each.name.startswith(incomplete)]
    return []


def complete_image(ctx: typer.Context, incomplete: str) -> list[str]:
    """Images, their tags and versions, for the shell."""
    with suppress(NetbootError, OSError):
        store = completed_place(ctx).images
        versions = store.list()
        names = sorted({version.image for version in versions})
        tagged = [f"{name}:{tag}" for name in names for tag in (*store.tags(name).current, LATEST)]
        return [ref for ref in (*names, *tagged, *(each.label for each in versions)) if ref.startswith(incomplete)]
    return []


def complete_recipe(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of recipes, for the shell."""
    from netboot.images.recipe import recipe_names

    named = ctx.params.get("recipes")
    return [name for name in recipe_names(Path(named) if named else recipes_dir()) if name.startswith(incomplete)]


def completed_place(ctx: typer.Context) -> Place:
    """While completing, commands' callbacks have not run; the words typed so far are in the contexts' parameters."""
    named = ctx.params.get("data_dir") or ctx.find_root().params.get("data_dir")
    return Place.named(Path(named) if named else None, database=ctx.find_root().params.get("database"))


DataDirOption = Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", readable=False, help=DATA_DIR_HELP)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON; docs/cli.md describes it.")]
ClientArgument = Annotated[
    str,
    typer.Argument(metavar="CLIENT", help="The client's name or MAC address.", autocompletion=complete_client),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", readable=False, help="The daemon's configuration file."),
]
