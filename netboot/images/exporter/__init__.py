"""Giving versions away in forms that other tools take, so that nobody is locked in: tar, qcow2, OCI.

The same version gives the same bytes, as far as the programs that compress do.
"""
