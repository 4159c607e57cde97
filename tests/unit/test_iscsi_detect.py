from __future__ import annotations

import pytest

from netboot.config import IscsiServer
from netboot.errors import Unavailable
from netboot.exports.detect import IscsiFacts, choose_iscsi

AUTO, LIO, TGT = IscsiServer.AUTO, IscsiServer.LIO, IscsiServer.TGT


@pytest.mark.parametrize(
    ("wanted", "there", "chosen"),
    [
        (AUTO, IscsiFacts(lio=True, tgt=True), LIO),
        (AUTO, IscsiFacts(lio=False, tgt=True), TGT),
        (TGT, IscsiFacts(lio=True, tgt=True), TGT),
        (LIO, IscsiFacts(lio=True, tgt=False), LIO),
    ],
)
def test_the_kernels_target_is_preferred_where_it_is(
    wanted: IscsiServer, there: IscsiFacts, chosen: IscsiServer
) -> None:
    assert choose_iscsi(wanted, there) is chosen


@pytest.mark.parametrize(
    ("wanted", "there", "message", "hint"),
    [
        (LIO, IscsiFacts(lio=False, tgt=True), "no lio", "a kernel that has LIO"),
        (TGT, IscsiFacts(lio=True, tgt=False), "no tgt", "apt-get install tgt"),
        (AUTO, IscsiFacts(lio=False, tgt=False), "no iSCSI target", "apt-get install tgt or take a kernel"),
    ],
)
def test_what_is_lacking_is_told_with_the_fix(wanted: IscsiServer, there: IscsiFacts, message: str, hint: str) -> None:
    with pytest.raises(Unavailable) as caught:
        choose_iscsi(wanted, there)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
