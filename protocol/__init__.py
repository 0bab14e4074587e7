"""The messages between the processes, and how to find warm workers.

It needs only pyzmq, msgpack, msgspec and psutil, so that it installs into any worker's environment. It imports nothing
else of warmbench.
"""

VERSION = "0.1.0"

PROTOCOL_VERSION = 7
"""Increased with every change of a message; processes with different numbers refuse each other."""
