from __future__ import annotations

from bench.oneboot import Figures, memory_bytes
from bench.rootmodes import IMAGE, LTSP, RECIPES, WAYS, table
from netboot.config.paths import recipes_dir
from netboot.images.recipe import load_recipe
from netboot.model.root import RootFormat, RootMode

MIB = 1 << 20
MEMINFO = "MemTotal:         990208 kB\nMemFree:          500000 kB\nMemAvailable:     730112 kB\nBuffers:    0 kB\n"


def test_every_mode_and_format_is_booted_and_ltsp_beside_them() -> None:
    forms = [(wishes.root, wishes.root_format) for way, wishes in WAYS.items() if way != LTSP]
    with_file_systems = [(mode, each) for mode in (RootMode.NFS_FILE, RootMode.ISCSI) for each in RootFormat]
    assert forms == [(RootMode.NFS, None), *with_file_systems]
    assert list(WAYS)[-1] == LTSP


def test_the_table_has_medians_of_each_way() -> None:
    rounds = [
        Figures(loader_bytes=30 * MIB, root_bytes=number * MIB, up_s=number, memory_bytes=MIB, cpu_s=number / 10)
        for number in (20, 22, 900)
    ]
    *_, nfs, failed = table({"nfs": rounds, "ltsp": []})
    assert nfs == "| nfs | 3 | 30.0 | 22.0 | 52.0 | 22.0 | 1 | 2.2 |"
    assert failed == "| ltsp | 0 | | | | | | |"


def test_memory_that_is_not_available_counts_as_used() -> None:
    assert memory_bytes(MEMINFO) == (990208 - 730112) * 1024


def test_the_system_has_ltsps_package_and_nothing_else_of_its_own() -> None:
    ours, base = load_recipe(RECIPES, str(IMAGE)), load_recipe(recipes_dir(), "debian-minimal")
    assert set(ours.packages) - set(base.packages) == {"ltsp"}
    assert "ltsp.service" in ours.disable
