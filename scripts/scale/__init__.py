"""How many workers one scheduler carries: the real command, with simulated workers behind real sockets."""
