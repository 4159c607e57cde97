"""Exports: a version of an image made reachable as an NFS root.

A version's file system is mounted read-only once on the server, and an NFS server exports it, read-only, to the
served networks: the kernel's where the machine has it, NFS-Ganesha in user space where it has not.
"""
