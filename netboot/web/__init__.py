"""HTTP: the boot listener that loaders and clients speak to.  Nothing here changes what is configured."""
