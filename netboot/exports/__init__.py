"""Exports: a version of an image made reachable as a client's root.

Over NFS it is a tree of files or the file of its file system, over iSCSI a disk.  What is there is observed, what shall
be there planned, and the steps between carried out by a server: the kernel's where the machine has it, else one in user
space.
"""
