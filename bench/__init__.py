"""The benchmark: netboot side by side with the field's own servers.  `make bench`; see bench/README.md."""
