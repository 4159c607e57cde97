"""Why a client could not attach its root, from words that real programs say."""

from __future__ import annotations

import pytest

from netboot.boot.progress import verdict
from netboot.boot.rootcauses import root_cause
from netboot.model.boot import Boot, Outcome
from netboot.model.event import Detail, Event, EventKind
from tests.kit import MAC

# From nfs-utils 2.6 and open-iscsi 2.1, as they print them, and from our initramfs.
SAID = {
    "mount.nfs: access denied by server while mounting 10.9.0.1:/srv/exports/debian/1": "not for its network",
    "mount.nfs: mounting 10.9.0.1:/nowhere failed, reason given by server: No such file or directory": "not exported",
    "mount.nfs: Connection refused": "does not answer",
    "mount.nfs: Connection timed out": "does not answer",
    "mount.nfs: Operation not permitted": "not for its network",
    "no answer from 10.9.0.1 within 4 s": "does not answer",
    "iscsistart: initiator reported error (24 - iSCSI login failed due to authorization failure)": "its secret",
    "iscsistart: cannot make connection to 10.9.0.1: Connection refused": "does not answer",
    "iscsistart: initiator reported error (19 - encountered non-retryable iSCSI login failure)": "not to the name",
    "verity: device-mapper: reload ioctl on root failed: Invalid argument": "bit for bit",
    "the temporary layer disk:scratch: no local disk has the label scratch": "could not make its temporary layer",
    "the client's own files: wget: server returned error: HTTP/1.1 403 Forbidden": "what is its own",
    "the client's own files: wget: server returned error: HTTP/1.1 503 Service Unavailable": "could not make",
    "the client's own files: wget: can't connect to remote host (10.9.0.1): Connection refused": "does not answer",
    "what the client keeps: mount.nfs: access denied by server while mounting 10.9.0.1:/x": "keeps on the server",
    "mount: /root: No space left on device": "temporary layer is full",
}


@pytest.mark.parametrize(("message", "cause"), SAID.items())
def test_what_a_program_said_has_a_cause_and_a_remedy(message: str, cause: str) -> None:
    found = root_cause(message)
    assert found is not None
    assert cause in found.cause
    assert found.hint


def test_what_nobody_knows_is_told_as_it_is() -> None:
    assert root_cause("mount.nfs: an incorrect mount option was specified") is None


def story(*events: tuple[EventKind, float, dict[str, Detail]]) -> Boot:
    return Boot(id=1, mac=MAC, events=tuple(Event(at, kind, MAC, details) for kind, at, details in events))


K = EventKind


def test_the_second_try_that_fails_is_told_and_one_that_succeeds_forgotten() -> None:
    once = story((K.INITRAMFS_STARTED, 1, {}), (K.ROOT_RETRIED, 2, {"attempt": 1, "message": "Connection refused"}))
    assert verdict(once, now=3).outcome is Outcome.BOOTING
    again: dict[str, Detail] = {"attempt": 2, "message": "Connection refused"}
    twice = (K.ROOT_RETRIED, 4.0, again)
    found = verdict(story((K.INITRAMFS_STARTED, 1, {}), twice), now=5)
    assert found.outcome is Outcome.STALLED
    assert found.missing is K.ROOT_MOUNTED
    assert "does not answer the client: Connection refused" in found.cause
    assert verdict(story(twice, (K.ROOT_MOUNTED, 5, {})), now=6).outcome is Outcome.BOOTING


def test_a_server_that_is_waited_for_is_told_at_once() -> None:
    silent = story((K.INITRAMFS_STARTED, 1, {}), (K.ROOT_AWAITED, 6, {"message": "no answer from 10.9.0.1 for 5 s"}))
    found = verdict(silent, now=6.1)
    assert (found.outcome, found.missing) == (Outcome.STALLED, K.ROOT_MOUNTED)
    assert "does not answer" in found.cause


def test_a_full_layer_of_a_running_client_is_told_until_it_boots_again() -> None:
    full = story((K.UP, 1, {}), (K.UPPER_FULL, 9, {"message": "0 of 512 MiB are left"}))
    found = verdict(full, now=10)
    assert found.outcome is Outcome.UP
    assert found.cause == "its temporary layer is full: 0 of 512 MiB are left"
    assert "--upper" in found.hint
    assert not verdict(story((K.UPPER_FULL, 1, {}), (K.UP, 2, {})), now=10).cause


def test_damage_that_a_running_client_reads_is_told_and_it_is_up_still() -> None:
    said: dict[str, Detail] = {"message": "verity: block 12 of nfs-file:10.9.0.1:/a is not what its root hash says"}
    found = verdict(story((K.UP, 1, {}), (K.ROOT_FAILED, 9, said)), now=10)
    assert (found.outcome, found.reached) == (Outcome.UP, K.UP)
    assert "bit for bit" in found.cause and "block 12" in found.cause
    assert "fsck" in found.hint
    assert not verdict(story((K.ROOT_FAILED, 1, said), (K.UP, 2, {})), now=10).cause
