"""The only door to the kernel and to programs: commands, mounts, loop devices, links, the service manager.

Everything here is thin: it does what it is told, and says in plain words why it could not.
"""
