"""The configuration: every setting once, read from TOML into one frozen `Config`.

A setting is a field of a section in `netboot.config.sections`, with its default, its reader and its help
beside it; the TOML reader, `netboot config show`, the documentation's test and the error messages all come
from those fields, so they cannot disagree.
"""

from netboot.config.reader import load_config, parse_config
from netboot.config.reservation import Reservation
from netboot.config.sections import (
    BootSettings,
    ClientSettings,
    Config,
    DhcpMode,
    EventSettings,
    ExportBackend,
    ExportSettings,
    HttpSettings,
    ImageSettings,
    Interface,
    IscsiServer,
    Profile,
    Subnet,
    TftpSettings,
    UnknownClients,
    UnknownPolicy,
)

__all__ = [
    "BootSettings",
    "ClientSettings",
    "Config",
    "DhcpMode",
    "EventSettings",
    "ExportBackend",
    "ExportSettings",
    "HttpSettings",
    "ImageSettings",
    "Interface",
    "IscsiServer",
    "Profile",
    "Reservation",
    "Subnet",
    "TftpSettings",
    "UnknownClients",
    "UnknownPolicy",
    "load_config",
    "parse_config",
]
