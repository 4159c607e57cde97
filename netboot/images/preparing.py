"""Preparing a tree: the table found, the plan made from what is there, and carried out beneath the tree's root.

The tree may be a fresh build or a mounted draft that others have worked in; `netboot.system.tree` sees to it that
nothing outside of it is read or changed.  Doing it again changes nothing.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from netboot.config.paths import recipes_dir
from netboot.errors import InvalidInput, NotFound
from netboot.images.prepare import LARGEST_TEXT, Action, Doing, Table, parse_table, plan
from netboot.system.tree import Entry, Kind, Tree

FILE_NAME = "prepare.toml"


def load_table(site: Path | None = None, recipe: Table | None = None) -> Table:
    """The program's own table, below the site's in the file `site`, below the recipe's."""
    table = read_table(recipes_dir() / FILE_NAME)
    for other in (read_table(site) if site else None, recipe):
        if other:
            table = table.with_first(other)
    return table


def read_table(file: Path) -> Table:
    try:
        return parse_table(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise NotFound(f"there is no {file}", hint="make it, or correct the setting images.prepare") from None
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error.message}", hint=error.hint) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error


def plan_tree(root: Path, table: Table) -> tuple[Action, ...]:
    """What `prepare` would do to the tree at `root`: the dry run."""
    with Tree(root) as tree:
        return _plan(tree, table)


def prepare(root: Path, table: Table, *, at: int | None = None) -> tuple[Action, ...]:
    """Make the tree at `root` fit for many clients at once, and say what was done.

    Files that are written get the time of change `at` (seconds), or now; folders keep theirs.
    """
    with Tree(root) as tree:
        actions = _plan(tree, table)
        for action in actions:
            _carry_out(action, tree, at)
        _mark_updated(tree)
    return actions


def _plan(tree: Tree, table: Table) -> tuple[Action, ...]:
    listing = list(tree.walk(table.reaches))
    contents = {
        entry.path: _text(tree, entry) for entry in listing if entry.kind is Kind.FILE and table.reads(entry.path)
    }
    return plan(listing, table, contents)


def _text(tree: Tree, entry: Entry) -> bytes:
    return tree.read(entry.path, LARGEST_TEXT) or b""


def _carry_out(action: Action, tree: Tree, at: int | None) -> None:
    match action.action:
        case Doing.REMOVE:
            tree.remove(action.path)
        case Doing.RELINK | Doing.MASK:
            tree.link(action.path, action.content, at=at)
        case _:
            tree.write(action.path, action.content.encode(errors="surrogateescape"), at=at)


def _mark_updated(tree: Tree) -> None:
    """Tell systemd that /etc and /var belong to this /usr, systemd-update-done(8).

    Without the marks every boot of every client takes the image for freshly updated and rebuilds users, hardware
    database and caches, into the temporary layer.
    """
    changed_at = tree.changed_at("usr")
    if changed_at is None:
        return
    # One second more: the file system is made with whole seconds.
    stamp = int(changed_at) + 1
    content = f"TIMESTAMP_NSEC={stamp * 10**9}\n".encode()
    for folder in ("etc", "var"):
        mark = f"{folder}/.updated"
        if tree.read(mark, len(content) + 1) != content or tree.changed_at(mark) != stamp:
            tree.write(mark, content, at=stamp)
