"""A virtual network with diskless machines on it: what `make demo` and the boot tests run on.

The lab runs in network, mount and process namespaces of its own (`namespace`), so that the kernel removes all
of it when the lab's process ends, however it ends.  Inside there is one bridge with the daemon under test, a
neighbour that plays the rest of the site's network, and QEMU clients that boot over PXE.
"""
