from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from netboot.config import DhcpMode, UnknownPolicy, load_config, parse_config
from netboot.config.paths import DEFAULT_DATA_DIR, DataDir
from netboot.config.reader import LISTS, NAMED, TABLES, settings_of
from netboot.config.sections import Config
from netboot.errors import InvalidInput, NotFound
from netboot.model.lease import Pool

SAMPLE = """
data_dir = "/srv/netboot"

[[interface]]
name = "br0"
dhcp = "own"

[[interface]]
name = "eth1"
dhcp = "proxy"
address = "192.0.2.4"

[[subnet]]
network = "10.9.0.0/24"
pool = "10.9.0.100 - 10.9.0.199"
router = "10.9.0.1"
dns = ["10.9.0.1"]
domain = "lab.example.org"

[clients]
unknown = "image:debian-minimal:2"

[boot]
kernel_args = ["console=ttyS0"]
upper = "2G"
"""


def test_reads_a_whole_file() -> None:
    config = parse_config(SAMPLE)
    assert config.data_dir == Path("/srv/netboot")
    assert [(each.name, each.dhcp) for each in config.interface] == [("br0", DhcpMode.OWN), ("eth1", DhcpMode.PROXY)]
    assert config.interface[1].address == IPv4Address("192.0.2.4")
    assert config.subnet[0].pool == (Pool(IPv4Address("10.9.0.100"), IPv4Address("10.9.0.199")),)
    assert config.clients.unknown.policy is UnknownPolicy.IMAGE
    assert str(config.clients.unknown) == "image:debian-minimal:2"
    assert config.boot.upper == "2g"
    subnet = config.subnet_of(IPv4Address("10.9.0.7"))
    assert subnet is not None
    assert subnet.network == IPv4Network("10.9.0.0/24")
    assert config.subnet_of(IPv4Address("10.9.1.7")) is None


def test_an_empty_file_serves_no_interface() -> None:
    config = parse_config("")
    assert config.interface == ()
    assert config.clients.unknown.policy is UnknownPolicy.NOTHING


def test_an_interface_that_is_only_named_gets_no_dhcp() -> None:
    config = parse_config('[[interface]]\nname = "br0"\n[[subnet]]\nnetwork = "10.9.0.0/24"')
    assert config.interface[0].mode_for(config.subnet[0]) is DhcpMode.OFF


@pytest.mark.parametrize(
    ("interface", "subnet", "mode"),
    [
        ("own", None, "own"),
        ("own", "proxy", "proxy"),
        ("proxy", "own", "own"),
        ("own", "off", "off"),
        (None, "own", "own"),
        ("off", "own", "off"),  # the door is shut, whatever stands behind it
    ],
)
def test_a_subnet_says_how_it_is_served_and_an_interface_what_is_usual_there(
    interface: str | None, subnet: str | None, mode: str
) -> None:
    def dhcp(value: str | None) -> str:
        return f'dhcp = "{value}"' if value else ""

    config = parse_config(
        f'[[interface]]\nname = "br0"\n{dhcp(interface)}\n[[subnet]]\nnetwork = "10.9.0.0/24"\n{dhcp(subnet)}'
    )
    assert config.interface[0].mode_for(config.subnet[0]) is DhcpMode(mode)


def test_a_subnet_may_have_several_pools() -> None:
    (subnet,) = parse_config(
        '[[subnet]]\nnetwork = "10.9.0.0/24"\npool = ["10.9.0.10-10.9.0.19", "10.9.0.30 - 10.9.0.39"]'
    ).subnet
    assert [str(each) for each in subnet.pool] == ["10.9.0.10-10.9.0.19", "10.9.0.30-10.9.0.39"]
    lent = [last for last in range(256) if subnet.lends(IPv4Address(f"10.9.0.{last}"))]
    assert lent == [*range(10, 20), *range(30, 40)]


NET = "[[subnet]]\nnetwork = '10.9.0.0/24'\nrouter = '10.9.0.254'\ndns = ['10.9.0.53']\n"
KIOSK = "[[reservation]]\naddress = '10.9.0.7'\nclient_id = 'kiosk'\n"
RESERVATION_ERRORS = [
    (NET + KIOSK + KIOSK.replace("kiosk", "other"), "10.9.0.7 is reserved twice", "take one [[reservation]] away"),
    (NET + KIOSK + KIOSK.replace("0.7", "0.8"), "both reserved for client_id kiosk", "take one"),
    (NET + KIOSK.replace("9.0.7", "8.0.7"), "10.8.0.7 is in no [[subnet]]", "add the subnet that holds it"),
    (NET + KIOSK + "circuit_id = 'ge-1'", "must say whose it is, in one way", "netboot client add MAC --address"),
    (NET + KIOSK.replace("client_id = 'kiosk'", ""), "must say whose it is, in one way", "circuit_id"),
    (NET + KIOSK.replace("kiosk", "k"), "client_id must have at least two bytes", ""),
    (NET + KIOSK.replace("kiosk", "01:52:54"), "could be bytes or text", 'write "0x015254" for the bytes, "text:01:52'),
    (NET + KIOSK.replace("kiosk", "k" * 256), "must have 1 to 255 bytes", ""),
    *[
        (
            NET + KIOSK.replace("10.9.0.7", taken) + "[[interface]]\nname='a'\naddress='10.9.0.1'",
            "cannot be reserved",
            "",
        )
        for taken in ("10.9.0.254", "10.9.0.53", "10.9.0.0", "10.9.0.255", "10.9.0.1")
    ],
]


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("dta_dir = '/x'", "dta_dir is no setting", "did you mean data_dir?"),
        ("[[interface]]\nnam = 'x'", "interface[1].nam is no setting", "did you mean interface[1].name?"),
        ("[[interfaces]]\nname = 'x'", "interfaces is no setting", "did you mean interface?"),
        ("[boot]\nzzz = 1", "boot.zzz is no setting", "kernel_args, shell"),
        ("[interface]\nname = 'x'", "interface: must be a list of tables", "[[interface]]"),
        ("[[interface]]\ndhcp = 'own'", "interface[1].name is missing", "as the kernel names it"),
        ("[[interface]]\nname = 'x'\ndhcp = 'both'", 'must be one of "own", "proxy", "off"', ""),
        ("[[interface]]\nname = 'a'\n[[interface]]\nname = 'a'", "interface a is listed twice", ""),
        ("[[subnet]]\nnetwork = '10.9.0.1/24'", "subnet[1].network must be an IPv4 network", ""),
        ("[[subnet]]\nnetwork = '10.9.0.0/24'\npool = '10.9.0.9'", "subnet[1].pool must be a range", ""),
        ("[[subnet]]\nnetwork = '10.9.0.0/24'\npool = '10.9.0.9-10.9.0.2'", "ends before it begins", ""),
        ("[[subnet]]\nnetwork = '10.9.0.0/24'\npool = '10.9.1.2-10.9.1.9'", "is not within 10.9.0.0/24", ""),
        ("[[subnet]]\nnetwork = '10.9.0.0/24'\npool = ['10.9.0.2-10.9.0.9', '10.9.0.9-10.9.0.12']", "overlap", ""),
        ("[[subnet]]\nnetwork = '10.9.0.0/24'\nrouter = '10.8.0.1'", "router 10.8.0.1 is not within", ""),
        ("[[subnet]]\nnetwork='10.9.0.0/24'\n[[subnet]]\nnetwork='10.9.0.0/16'", "overlap", ""),
        *RESERVATION_ERRORS,
        ("[http]\nport = 0", "http.port must be a whole number from 1 to 65535", ""),
        ("[tftp]\nports = '50000'", "tftp.ports must be a range of ports, as 50000-50999", ""),
        ("[tftp]\nports = '0-9'", "tftp.ports must begin at 1 or later", ""),
        ("[tftp]\nports = '9-8'", "not end before it begins", ""),
        ("[tftp]\nports = '60000-65536'", "end at 65535 or before", ""),
        ("[http]\nport = true", "http.port must be a whole number", ""),
        ("[boot]\nkernel_args = ['a b']", "boot.kernel_args must be one word", ""),
        ("[boot]\nupper = '200%'", "boot.upper must be a share of memory", ""),
        ("[clients]\nunknown = 'all'", 'clients.unknown must be "nothing", "menu" or', ""),
        ("data_dir = 'here'", "data_dir must be an absolute path", ""),
        (r'data_dir = "/srv\u0000"', "data_dir must be an absolute path", ""),
        ("http = 8080", "http: must be a table", "[http]"),
        ("a = ", "not valid TOML", ""),
    ],
)
def test_errors_name_file_key_and_fix(source: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_config(source, name="site.toml")
    assert caught.value.message.startswith("site.toml: ")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        load_config(tmp_path / "none.toml")


def test_the_data_directory_is_named_by_the_nearest(tmp_path: Path) -> None:
    named, variable, configured = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    environ = {"NETBOOT_DATA_DIR": str(variable)}
    assert DataDir.find(named, configured, environ).root == named
    assert DataDir.find(None, configured, environ).root == variable
    assert DataDir.find(None, configured, {}).root == configured
    assert DataDir.find(None, None, {}).root == DEFAULT_DATA_DIR


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    sections = {"": Config, **TABLES, **LISTS, **{f"{name}.NAME": section for name, (section, _) in NAMED.items()}}
    for name, section in sections.items():
        if name:
            heading = f"[[{name}]]" if name in LISTS else f"[{name}]"
            assert f"`{heading}`" in page, f"section {heading} is not documented"
        for key, field in settings_of(section).items():
            assert f"| `{key}` |" in page, f"setting {name}.{key} is not documented"
            assert field.metadata["help"] in page, f"the documentation of {name}.{key} differs from its help"
