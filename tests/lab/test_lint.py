"""The lint on real systems: what Debian's packages bring is no secret, and what somebody left in a draft is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.config.paths import DataDir
from netboot.images.attach import tree_of
from netboot.images.draft import Drafts
from netboot.images.store import ImageStore
from netboot.lab.lab import DEFAULT_IMAGE
from netboot.system.mounts import mounts
from tests.cli_kit import Cli
from tests.kit import cannot_run, make_version
from tests.small_system import small_root

pytestmark = pytest.mark.walls


def test_a_debian_system_has_no_secrets_and_is_not_left_mounted() -> None:
    data = DataDir.find(None, None)
    if ImageStore(data.images).find(DEFAULT_IMAGE) is None:
        cannot_run(f"no image {DEFAULT_IMAGE} in {data.images}; build it: netboot image build {DEFAULT_IMAGE}")
    before = mounts()
    assert Cli(data.root).ok("image", "lint", str(DEFAULT_IMAGE), "--json").json == []
    assert mounts() == before


def test_a_secret_in_a_draft_is_named(tmp_path: Path) -> None:
    draft = Drafts(tmp_path / "images").open("one", make_version(), small_root(tmp_path), who="tester")
    cli = Cli(tmp_path)
    assert cli.ok("image", "lint", "one", "--draft").stdout == "nothing found\n"
    with tree_of(draft) as tree:
        (tree / "root/.vault-token").write_text("hvs.s3cret")
    ran = cli("image", "lint", "one", "--draft", "--json")
    assert (ran.code, ran.json[0]["rule"], ran.json[0]["path"]) == (1, "vault-token", "root/.vault-token")
    assert "s3cret" not in ran.stdout
    assert cli("image", "lint", "one", "--draft", "--allow", "vault-token:root/*").code == 0
