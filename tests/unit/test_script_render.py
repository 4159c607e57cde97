"""The renderer: operators' templates, errors that name the place, and what quoting refuses."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.boot.artefacts import bootable
from netboot.boot.quoting import GRUB, IPXE, PXELINUX, UBOOT, Language
from netboot.boot.script import Renderer, ScriptContext, ScriptKind
from netboot.errors import InvalidInput
from netboot.model.root import RootPlace
from netboot.model.target import DeniedTarget, LocalTarget, MenuTarget
from tests.kit import MAC, make_target

TEMPLATES = Path(__file__).parents[2] / "templates"
CONTEXT = ScriptContext(server=IPv4Address("10.9.0.1"), http_port=8080, root_of=lambda image: RootPlace("/srv"))
LOCAL = LocalTarget(mac=MAC, reason="it has a disk")


def override(folder: Path, text: str, name: str = "ipxe/local.ipxe.j2") -> Renderer:
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return Renderer(TEMPLATES, folder)


def test_an_operators_template_replaces_ours_and_no_other(tmp_path: Path) -> None:
    renderer = override(tmp_path, "#!ipxe\necho mine {{ target.reason | text }}\n")
    assert renderer.render(ScriptKind.IPXE, LOCAL, CONTEXT) == "#!ipxe\necho mine it has a disk\n"
    assert renderer.render(ScriptKind.GRUB, LOCAL, CONTEXT) == Renderer(TEMPLATES).render(
        ScriptKind.GRUB, LOCAL, CONTEXT
    )


# Rule 6.2: what iPXE itself knows of the machine that runs the script.
IPXE_VARIABLES = """#!ipxe
echo ${net0/mac} ${mac:hexhyp} ${uuid} ${serial} ${asset} ${manufacturer} ${product:uristring} ${buildarch} ${platform}
echo ${net0/ip} ${next-server} ${netX/filename} ${cpuid/0x80000001.0:hex} ${version} ${smbios/1.6.0}
isset ${net1/mac} && chain --autofree http://{% raw %}{{{% endraw %}/${mac:hexhyp}?${uuid} ||
"""


def test_an_operators_template_may_use_ipxes_own_variables(tmp_path: Path) -> None:
    renderer = override(tmp_path, IPXE_VARIABLES + "echo {{ target.reason | text }}\n")
    hostile = replace(LOCAL, reason="${net0/mac} || shell")
    script = renderer.render(ScriptKind.IPXE, hostile, CONTEXT)
    wanted = IPXE_VARIABLES.replace("{% raw %}{{{% endraw %}", "{{")
    # As they were written, while what a person typed into a record expands to nothing.
    assert script == wanted + "echo ??net0/mac? ?? shell\n"


def test_a_part_of_a_template_can_be_replaced(tmp_path: Path) -> None:
    renderer = override(tmp_path, ":failed\nexit 1\n", "ipxe/_failed.ipxe.j2")
    script = renderer.render(ScriptKind.IPXE, make_target(), CONTEXT)
    assert script.endswith(":failed\nexit 1\n")
    assert "chain" not in script


@pytest.mark.parametrize(
    ("template", "said"),
    [("{{ oops", "local.ipxe.j2, line 1"), ("{% for %}", "local.ipxe.j2, line 1"), ("a\n{{ x | nofilter }}", "line 2")],
)
def test_a_template_that_does_not_parse_is_named_at_the_start(tmp_path: Path, template: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        override(tmp_path, template)


@pytest.mark.parametrize("template", ["{{ nothing }}", "{{ target.nothing }}", "{{ target.__class__.__mro__ }}"])
def test_what_is_not_there_or_private_is_an_error(tmp_path: Path, template: str) -> None:
    renderer = override(tmp_path, template)
    with pytest.raises(InvalidInput, match=r"local\.ipxe\.j2 cannot be rendered"):
        renderer.render(ScriptKind.IPXE, LOCAL, CONTEXT)


@pytest.mark.parametrize("template", ["{{ 1 // 0 }}", "{{ entries[7] }}", "{{ target.reason + 1 }}"])
def test_a_template_that_fails_at_work_is_named(tmp_path: Path, template: str) -> None:
    with pytest.raises(InvalidInput, match=r"ipxe/local\.ipxe\.j2 cannot be rendered"):
        override(tmp_path, template).render(ScriptKind.IPXE, LOCAL, CONTEXT)


def test_a_template_that_is_no_text_is_named(tmp_path: Path) -> None:
    override(tmp_path, "")
    (tmp_path / "ipxe/local.ipxe.j2").write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match=r"ipxe/local\.ipxe\.j2: 'utf-8' codec"):
        Renderer(TEMPLATES, tmp_path)


def test_a_folder_of_templates_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="mistyped is no folder"):
        Renderer(TEMPLATES, tmp_path / "mistyped")


def test_a_forgotten_filter_refuses_rather_than_injects(tmp_path: Path) -> None:
    renderer = override(tmp_path, "echo {{ target.reason }}\n")
    with pytest.raises(InvalidInput):
        renderer.render(ScriptKind.IPXE, replace(LOCAL, reason="x ; shell"), CONTEXT)


@pytest.mark.parametrize("language", [IPXE, PXELINUX, GRUB], ids=lambda language: language.name)
@pytest.mark.parametrize("word", ["", " ", "a b", "a\nb", "a\rb", "a\tb", "a\0b", "a\x1bb", "ä", "a\u2028b"])
def test_what_is_no_word_in_any_language(language: Language, word: str) -> None:
    with pytest.raises(InvalidInput):
        language.word(word)


@pytest.mark.parametrize("word", ["||", "&&", ";", "|", "&", "#x", "${net0/mac}", "a${x}", "$", "a\\"])
def test_what_ipxe_cannot_express(word: str) -> None:
    with pytest.raises(InvalidInput, match="iPXE"):
        IPXE.word(word)


@pytest.mark.parametrize("word", ["#x", "-"])
def test_what_pxelinux_cannot_express(word: str) -> None:
    with pytest.raises(InvalidInput, match="PXELINUX"):
        PXELINUX.word(word)


@pytest.mark.parametrize("word", ["a'b", 'a"b', "a\\b", "$x"])
def test_what_grub_cannot_express(word: str) -> None:
    with pytest.raises(InvalidInput, match="GRUB"):
        GRUB.word(word)


@pytest.mark.parametrize("word", ["${x}", "$(x)", "a'b", "a\\b"])
def test_what_uboot_would_expand(word: str) -> None:
    with pytest.raises(InvalidInput, match="U-Boot"):
        UBOOT.word(word)


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("a=b", "a=b"),
        ("/x", "/x"),
        ("a;b", "'a;b'"),
        ("a|b", "'a|b'"),
        ("{a}", "'{a}'"),
        ("-x", "'-x'"),
        ("#x", "'#x'"),
    ],
)
def test_grub_quotes_what_it_must(word: str, written: str) -> None:
    assert GRUB.word(word) == written


@pytest.mark.parametrize("language", [IPXE, PXELINUX], ids=lambda language: language.name)
def test_texts_lose_what_could_mean_something(language: Language) -> None:
    assert language.text("a\nb; ${c} || `d` 'e' \"f\" \\g #h &&") == "a b? ??c? ?? ?d? ?e? ?f? ?g ?h ??"
    assert language.text(" \n ") == "-"


def test_a_kernel_argument_that_ipxe_cannot_express_is_an_error_with_a_hint() -> None:
    target = replace(make_target(), kernel_args=("x=${net0/ip}",))
    with pytest.raises(InvalidInput) as caught:
        Renderer(TEMPLATES).render(ScriptKind.IPXE, target, CONTEXT)
    assert "another loader" in str(caught.value)


def test_what_a_target_lets_boot() -> None:
    target = make_target()
    assert bootable(target) == (target,)
    assert bootable(MenuTarget(mac=MAC, entries=(target, target), reason="")) == (target, target)
    assert bootable(LOCAL) == ()
    assert bootable(DeniedTarget(mac=MAC, reason="", hint="", known=True)) == ()
