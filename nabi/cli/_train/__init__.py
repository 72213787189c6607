"""The command `nabi train`."""
