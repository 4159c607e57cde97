"""Making an image of a system that was installed elsewhere: a folder, an archive, a disk, a container.

`detect`, `partitions`, `filesystems` and `qcow2` are pure: they look at bytes and decide.
"""
