"""A lab that is entered, and tells what its daemon would find of a version: what `test_lab_images` runs.

usage: python open_lab.py DATA_DIR IMAGE:NUMBER FORMAT
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from netboot.lab.client import LabFirmware
from netboot.lab.config import LabDhcp
from netboot.lab.lab import Lab, LabSpec
from netboot.model.names import VersionRef
from netboot.model.root import RootFormat, RootMode
from netboot.model.wishes import Wishes


def main(data_dir: Path, image: VersionRef, format: RootFormat) -> None:
    wishes = Wishes(root=RootMode.NFS_FILE, root_format=format)
    spec = LabSpec(firmware=LabFirmware.BIOS, dhcp=LabDhcp.OWN, data_dir=data_dir, image=image, wishes=wishes)
    with Lab(spec) as lab:
        images = lab.state / "images"
        names = sorted(file.name for file in images.glob("*/*/*"))
        read_only = bool(os.statvfs(images).f_flag & os.ST_RDONLY)
        print(json.dumps({"names": names, "read_only": read_only}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), VersionRef.parse(sys.argv[2]), RootFormat(sys.argv[3]))
