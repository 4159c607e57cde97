"""netboot: a network-boot appliance for stateless Linux clients."""

__version__ = "0.1.0"
