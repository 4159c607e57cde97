"""TFTP (RFC 1350 with 2347, 2348, 2349 and 7440): the server that hands loaders and their configuration to firmware.

`packet`, `terms` and `transfer` are pure; `server` is the edge with its own thread, `source` says what a name means.
"""
