"""A stencil's script is the rendered one, to the byte, whoever asks for it and in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netboot.boot.script import Renderer, ScriptContext, ScriptKind
from netboot.boot.scriptstencils import ScriptStencils
from netboot.errors import InvalidInput
from netboot.model.mac import MacAddress
from netboot.model.root import RootFormat, RootMode, RootPlace
from netboot.model.target import ImageTarget
from tests.kit import make_target

TEMPLATES = Path(__file__).parents[2] / "templates"
WITH_STENCILS = Renderer(TEMPLATES)
# A folder of an operator's own, of which no template is used, has each script rendered as a whole.
WITHOUT = Renderer(TEMPLATES, Path(__file__).parent)

TARGET = make_target()  # one version for all, as the store gives it

macs = st.binary(min_size=6, max_size=6).map(lambda octets: MacAddress(bytes((octets[0] & 0xFC | 2,)) + octets[1:]))
names = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True),
    st.sampled_from(["k7-first-sample-4w", "x2-second-one-9z", "", "-", "a b", "$x", "#", "Lab"]),
)
reasons = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["%", "%(hostname)s", "%%s", "client lab-01 is assigned debian", "the reason of sample K7"]),
)
arguments = st.lists(
    st.one_of(
        st.from_regex(r"[!-~]{1,8}", fullmatch=True),
        # What a sample's marks are, where no machine's mark stands.
        st.sampled_from(["quiet", "x=%(dashed)s", "100%", "k7-first-sample-4w", "x=why", "06-e9-b1-c3-a5-d7", "a b"]),
    ),
    max_size=3,
).map(tuple)
targets = st.builds(
    lambda mac, hostname, machine_id, reason, args, root, format, shell, verify: replace(
        TARGET,
        mac=mac,
        hostname=hostname,
        machine_id=machine_id,
        reason=reason,
        kernel_args=args,
        root=root,
        root_format=format,
        shell=shell,
        verify=verify,
    ),
    macs,
    names,
    st.one_of(
        st.from_regex(r"[0-9a-f]{32}", fullmatch=True), st.sampled_from(["", "f3a91c5e7b2d48069d1e6c3a5b7f8024"])
    ),
    reasons,
    arguments,
    st.sampled_from(RootMode),
    st.sampled_from(RootFormat),
    st.booleans(),
    st.booleans(),
)
contexts = st.builds(
    lambda last, port, place: ScriptContext(
        server=IPv4Address(f"10.9.0.{last}"), http_port=port, root_of=lambda _: RootPlace(place)
    ),
    st.integers(1, 3),
    st.sampled_from([80, 8080]),
    st.sampled_from(["/srv/x", "/srv/100%", "/srv/k7-first-sample-4w"]),
)


def rendered(renderer: Renderer, kind: ScriptKind, target: ImageTarget, context: ScriptContext) -> str:
    """The script, or what is said in its place."""
    try:
        return renderer.render(kind, target, context)
    except InvalidInput as error:
        return f"refused: {error}"


@given(st.lists(st.tuples(st.sampled_from(ScriptKind), targets, contexts), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_a_script_is_the_same_with_stencils_and_without(
    asked: list[tuple[ScriptKind, ImageTarget, ScriptContext]],
) -> None:
    for kind, target, context in asked:
        assert rendered(WITH_STENCILS, kind, target, context) == rendered(WITHOUT, kind, target, context)
    kind, _, context = asked[0]
    for _, target, _ in asked:  # one kind and place for all, so that stencils are met again
        assert rendered(WITH_STENCILS, kind, target, context) == rendered(WITHOUT, kind, target, context)


def test_machines_that_boot_the_same_share_a_rendering() -> None:
    rendered_for: list[str] = []

    def render(target: ImageTarget) -> str:
        rendered_for.append(target.hostname)
        return f"{target.hostname} {target.mac} {target.machine_id}\n"

    stencils, machine_id = ScriptStencils(), "ab" * 16
    for number in range(5):
        target = replace(TARGET, hostname=f"pc{number}", machine_id=machine_id, reason=f"why {number}")
        assert stencils.fill(target, (), render) == f"pc{number} {target.mac} {machine_id}\n"
    assert len(rendered_for) == 2  # the two samples, and no machine


@pytest.mark.parametrize("use", [str.upper, lambda name: name[:2], lambda name: str(len(name))])
def test_a_mark_that_is_not_printed_as_it_is_has_no_stencil(use: Callable[[str], str]) -> None:
    target = replace(TARGET, hostname="pc1", machine_id="ab" * 16)
    assert ScriptStencils().fill(target, (), lambda each: use(each.hostname)) is None
