"""Persistent state: clients, leases, events and the installation's secret, in SQLite or, by URL, PostgreSQL.

This package is the only door to the database.  A repository takes an engine and speaks the nouns of
`netboot.model`; every change is one transaction, and a change that fails leaves everything as it was.
SQL is what both engines understand; what only SQLite knows stands in `netboot.store.sqlite`.
"""

from netboot.store.clients import ClientRepository
from netboot.store.database import Engine, open_database
from netboot.store.directory import ClientDirectory
from netboot.store.events import EventRepository
from netboot.store.leases import LeaseRepository
from netboot.store.recorder import EventRecorder
from netboot.store.settings import installation_secret
from netboot.store.strategies import StrategyRepository

__all__ = [
    "ClientDirectory",
    "ClientRepository",
    "Engine",
    "EventRecorder",
    "EventRepository",
    "LeaseRepository",
    "StrategyRepository",
    "installation_secret",
    "open_database",
]
