"""Names that people give: clients, profiles, images, and references to a version of an image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from netboot.errors import InvalidInput

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?")
_TAG = re.compile(r"[a-z](?:[a-z0-9.-]{0,62}[a-z0-9])?")

# The newest version of an image, always.
LATEST = "latest"
# What an image's name alone means, if the image has this tag.
STABLE = "stable"


def is_client_name(text: str) -> bool:
    """Whether `parse_client_name` takes it."""
    return _LABEL.fullmatch(text) is not None


def parse_client_name(text: str) -> str:
    """A client's name is its hostname: one label of RFC 1123, lower case, at most 63 characters."""
    if not is_client_name(text):
        raise InvalidInput(
            f"{text!r} cannot be a client's name, since it becomes its hostname",
            hint="use lower-case letters, digits and inner hyphens, at most 63, as lab-07",
        )
    return text


def parse_profile_name(text: str) -> str:
    """A profile's name is a key of the configuration and a word of the command line."""
    if not _LABEL.fullmatch(text):
        raise InvalidInput(
            f"{text!r} cannot be a profile's name",
            hint="use lower-case letters, digits and inner hyphens, at most 63, as lab-room",
        )
    return text


def is_image_name(text: str) -> bool:
    return _IMAGE.fullmatch(text) is not None and ".." not in text


def parse_image_name(text: str) -> str:
    """An image's name is also a directory and a part of URLs."""
    if not is_image_name(text):
        raise InvalidInput(
            f"{text!r} cannot be an image's name",
            hint="use lower-case letters, digits, inner dots and hyphens, at most 64, as debian-minimal",
        )
    return text


def parse_tag(text: str) -> str:
    """A tag is a movable name for a version of an image."""
    if not _TAG.fullmatch(text):
        raise InvalidInput(
            f"{text!r} cannot be a tag",
            hint="use lower-case letters, digits, inner dots and hyphens, a letter first, at most 64, as stable",
        )
    return text


def parse_draft_name(text: str) -> str:
    """A draft's name is a directory, and is hidden from nobody."""
    if not _LABEL.fullmatch(text):
        raise InvalidInput(
            f"{text!r} cannot be a draft's name",
            hint="use lower-case letters, digits and inner hyphens, at most 63, as new-browser",
        )
    return text


@dataclass(frozen=True, slots=True)
class VersionRef:
    """`IMAGE`, `IMAGE:NUMBER` or `IMAGE:TAG`.

    `IMAGE` alone, with None for selector, means the tag `stable` if the image has it, else the newest version.
    """

    image: str
    selector: int | str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        image, colon, selector = text.partition(":")
        parse_image_name(image)
        if not colon:
            return cls(image)
        if re.fullmatch(r"[1-9][0-9]{0,8}", selector):
            return cls(image, int(selector))
        if _TAG.fullmatch(selector):
            return cls(image, selector)
        raise InvalidInput(
            f"{text!r} names no version: {selector!r} is neither a number from 1 on nor a tag",
            hint=f"write {image}, {image}:3 or {image}:stable",
        )

    def __str__(self) -> str:
        return self.image if self.selector is None else f"{self.image}:{self.selector}"
