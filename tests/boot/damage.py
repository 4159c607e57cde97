"""Versions that are not what was published: one bit of one program is turned."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def damage(data_dir: Path, image: str, program: str) -> None:
    """Give `data_dir`, whose images are a link to others, a copy of one image, damaged in its roots' `program`.

    The bit is one of the file's third block.
    """
    whole = (data_dir / "images").resolve() / image
    (data_dir / "images").unlink()
    for version in (each for each in whole.iterdir() if each.is_dir()):
        copy = data_dir / "images" / image / version.name
        copy.mkdir(parents=True)
        for file in version.iterdir():
            if file.name == "root.ext4":
                subprocess.run(["cp", "--sparse=always", file, copy / file.name], check=True)
                _turn_bit(copy / file.name, program)
            else:
                shutil.copy2(file, copy / file.name)
            shutil.copystat(file, copy / file.name)


def _turn_bit(root: Path, program: str) -> None:
    said = subprocess.run(["debugfs", "-R", f"blocks {program}", root], capture_output=True, text=True, check=True)
    third = int(said.stdout.split()[2]) * 4096
    root.chmod(0o600)
    with root.open("r+b") as disk:
        disk.seek(third)
        byte = disk.read(1)[0]
        disk.seek(third)
        disk.write(bytes([byte ^ 1]))
