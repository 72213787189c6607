"""What of this folder is not collected: stand-ins that only make sense inside of the tests that use them."""

collect_ignore = ["keras_shim"]
