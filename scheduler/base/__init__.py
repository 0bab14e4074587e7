"""Text, files, interrupts and memory: what every package may use."""
