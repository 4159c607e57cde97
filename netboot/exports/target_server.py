"""The server of all our iSCSI targets, whoever wants them: what it shall serve, and the steps that take it there.

It is looked for when the first target is wanted: a site without iSCSI needs none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress

from netboot.errors import NetbootError
from netboot.exports.iscsi import IscsiBackend
from netboot.exports.targets import Target, TargetPlan, make_plan


class TargetServer:
    """Serves targets, by name, by the backend that `make_backend` finds.

    Every method but `serves` blocks; all may be called from any thread.
    """

    def __init__(self, make_backend: Callable[[], IscsiBackend]) -> None:
        self._make_backend = make_backend
        self._backend: IscsiBackend | None = None
        self._is_prepared = False
        self._desired: Mapping[str, Target] = {}
        self._lock = threading.RLock()

    @property
    def first_lun(self) -> int:
        """The number of a target's first disk.  Raises `Unavailable` where no server can be had."""
        return self._found().first_lun

    def serves(self, name: str) -> bool:
        """Whether it shall serve this target, and did so when it was last looked at.  Returns at once."""
        return name in self._desired

    def settle(self, targets: Iterable[Target]) -> None:
        """Serve these and no other."""
        with self._lock:
            self._carry_out({each.name: each for each in targets})

    def put(self, targets: Iterable[Target]) -> None:
        """Serve these as well, or in place of those of their names; no other is looked at."""
        with self._lock:
            changed = {each.name: each for each in targets}
            self._carry_out({**self._desired, **changed}, only=changed.keys())

    def drop(self, name: str) -> bool:
        """Serve a target no longer, unless somebody is logged in; whether it is gone."""
        with self._lock:
            if self.users(name):
                return False
            self._carry_out({key: each for key, each in self._desired.items() if key != name}, only=[name])
            # Somebody may have logged in since.
            return not self._started().observe([name])

    def users(self, name: str) -> frozenset[str]:
        """The initiators that are logged in at a target."""
        with self._lock:
            return frozenset(user for each in self._found().observe([name]) for user in each.users)

    def plan(self, targets: Iterable[Target]) -> TargetPlan:
        """The steps that would have it serve these and no other; nothing is done."""
        with self._lock:
            return make_plan(targets, self._found().observe())

    def keep_up(self) -> bool:
        """Start it again if it died, and give it again what it lost; whether there was anything to do."""
        with self._lock:
            if not self._desired:
                return False
            backend = self._started()
            revived = backend.keep_up()
            plan = make_plan(self._desired.values(), backend.observe())
            if plan:
                backend.carry_out(plan)
            return revived or bool(plan)

    def stop(self) -> None:
        """Take all targets away, as far as nobody is logged in.  Clients wait until a daemon comes back."""
        with self._lock:
            if self._backend is not None and self._is_prepared:
                self._backend.stop()
            self._desired = {}

    def _found(self) -> IscsiBackend:
        """The server, which may not run yet."""
        with self._lock:
            if self._backend is None:
                self._backend = self._make_backend()
            return self._backend

    def _started(self) -> IscsiBackend:
        """The server, seen to be able to serve."""
        backend = self._found()
        if not self._is_prepared:
            backend.prepare()
            self._is_prepared = True
        return backend

    def _carry_out(self, desired: Mapping[str, Target], *, only: Collection[str] | None = None) -> None:
        """Serve these from now on; as before when it fails.  Where only some differ, they alone are looked at."""
        try:
            self._change_to(desired, only)
        except NetbootError:
            with suppress(NetbootError):
                self._change_to(self._desired, only)
            raise
        self._desired = desired

    def _change_to(self, desired: Mapping[str, Target], only: Collection[str] | None) -> None:
        backend = self._started()
        wanted = [each for name, each in desired.items() if only is None or name in only]
        if plan := make_plan(wanted, backend.observe(only)):
            backend.carry_out(plan)
