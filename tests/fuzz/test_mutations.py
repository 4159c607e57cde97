"""Captures that hypothesis cuts, doubles and joins; what it finds it shows as small as it can."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.captures.files import captures
from tests.fuzz.corpus import seeds
from tests.fuzz.targets import TARGETS

__all__ = ["captures"]

# Lengths and codes that mean something: PAD, END, overload, relay information, the largest length.
_TELLING = st.sampled_from((0, 1, 2, 3, 4, 6, 43, 52, 53, 61, 82, 93, 127, 128, 254, 255))
_AT = st.integers(0, 1 << 16)


@st.composite
def mutated(draw: st.DrawFn, from_seeds: list[bytes]) -> bytes:
    data = bytearray(draw(st.sampled_from(from_seeds)))
    for kind in draw(st.lists(st.sampled_from(("put", "cut", "double", "insert", "join", "end")), max_size=6)):
        at = draw(_AT) % (len(data) + 1)
        match kind:
            case "put" if at < len(data):
                data[at] = draw(st.one_of(_TELLING, st.integers(0, 255)))
            case "cut":
                del data[at : at + draw(st.integers(1, 40))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 300))]
            case "insert":
                data[at:at] = draw(st.binary(max_size=20))
            case "join":
                data[at:] = draw(st.sampled_from(from_seeds))[at:]
            case _:
                del data[at:]
    return bytes(data[:8192])


@pytest.fixture(scope="session")
def corpus(captures: Path) -> dict[str, list[bytes]]:
    return dict(seeds(captures))


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=600, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_becomes_of_a_capture(target: str, corpus: dict[str, list[bytes]], data: st.DataObject) -> None:
    TARGETS[target](data.draw(mutated(corpus[target])))


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_as_it_is(target: str, corpus: dict[str, list[bytes]]) -> None:
    assert len(corpus[target]) > 10
    for each in corpus[target]:
        TARGETS[target](each)
