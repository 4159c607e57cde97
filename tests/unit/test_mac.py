from __future__ import annotations

import pytest

from netboot.errors import InvalidInput
from netboot.model.mac import MacAddress


@pytest.mark.parametrize(
    "text",
    ["52:54:00:12:34:ab", "52-54-00-12-34-AB", "5254.0012.34ab", "5254001234AB", "  52:54:00:12:34:ab\n"],
)
def test_reads_every_usual_spelling(text: str) -> None:
    assert str(MacAddress.parse(text)) == "52:54:00:12:34:ab"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "52:54:00:12:34",
        "52:54:00:12:34:ab:cd",
        "52:54-00:12:34:ab",
        "52:54:00:12:34:xy",
        "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
    ],
)
def test_refuses_what_no_client_has(text: str) -> None:
    with pytest.raises(InvalidInput):
        MacAddress.parse(text)


def test_forms_of_urls_and_kernel_line() -> None:
    mac = MacAddress.parse("52:54:00:12:34:ab")
    assert mac.dashed == "52-54-00-12-34-ab"
    assert mac.bootif == "01-52-54-00-12-34-ab"
