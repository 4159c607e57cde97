"""Where clients find a root on this server, by the form in which it is exported."""

from __future__ import annotations

from pathlib import Path

from netboot.exports.disk_files import DiskFiles
from netboot.exports.iscsi import place_of, version_target
from netboot.exports.own_disk import target_of
from netboot.exports.plan import Export, export_of
from netboot.exports.targets import Initiator
from netboot.model.iscsi import initiator_name
from netboot.model.root import RootFiles, RootForm, RootMode, RootPlace
from netboot.model.target import ImageTarget


def nfs_place(export: Export, form: RootForm, files: RootFiles) -> RootPlace:
    """The place of what is exported over NFS: a tree, or a file in a folder of its own."""
    if form.format is None:
        return RootPlace(str(export.path))
    return RootPlace(f"{export.path}/{files.path.name}", files.tree.name if files.tree else None, files.root_hash)


def expected_place(image: ImageTarget, files: RootFiles, *, exports: Path, clients: Path, first_lun: int) -> RootPlace:
    """Where the root of a client will be, whether or not it is exported already.

    `exports` is the folder of all exports, `clients` of what is clients' own, `first_lun` the number that the iSCSI
    server gives to a target's first disk.
    """
    if image.has_own_disk:
        disk = DiskFiles(clients).for_boot(image)
        initiator = Initiator(name=initiator_name(image.hostname))
        return RootPlace(place_of(target_of(disk, files.path, initiator, first_lun=first_lun)))
    if image.root is RootMode.ISCSI:
        target = version_target(image.version, image.root_format, files, first_lun=first_lun, networks=())
        return RootPlace(place_of(target), root_hash=files.root_hash)
    export = export_of(image.version, image.form, root=exports.resolve(), networks=())
    return nfs_place(export, image.form, files)
