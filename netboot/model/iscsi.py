"""Names of iSCSI, which are for life: RFC 3720 section 3.2.6.3.1."""

from __future__ import annotations

# A naming authority is a date and a domain that was its owner's then.  Ours is of the domain for what is at home
# (RFC 8375), which nobody else can own.
AUTHORITY = "iqn.2018-05.arpa.home.netboot"


def initiator_name(hostname: str) -> str:
    """The name by which a client is told from all others: two of one name would end each other's sessions."""
    return f"{AUTHORITY}:client.{hostname}"
