"""What travels between the processes, and how a warm worker is found.

Light on purpose: pyzmq, msgpack, msgspec and psutil are all that it needs, so that it installs into any environment a
worker may live in. It imports nothing else of warmbench.
"""

VERSION = "0.1.0"

PROTOCOL_VERSION = 3
"""Raised with every change of a message; processes with different numbers refuse each other."""
