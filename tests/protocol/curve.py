"""Ends of connections with the keys that TCP needs, and without where it is a file."""

from __future__ import annotations

import zmq

from protocol.keys import DOMAIN, ClientKeys, KeyPair, new_pair
from protocol.sockets import Link, Listener

Context = zmq.Context[zmq.Socket[bytes]]
SERVER, CLIENT = new_pair(), new_pair()


def listener_on(context: Context, endpoint: str) -> Listener:
    """Bind; the context needs a gate that admits ``CLIENT``."""
    return Listener(context, endpoint, SERVER if endpoint.startswith("tcp") else None)


def link_to(context: Context, endpoint: str) -> Link:
    """Connect as ``CLIENT``."""
    return Link(context, endpoint, CLIENT, SERVER.public) if endpoint.startswith("tcp") else Link(context, endpoint)


def connect(context: Context, endpoint: str, keys: ClientKeys | None, server: str | None = None) -> Link:
    """Connect with the keys of a file to a pool's launcher, or to the worker with this public key."""
    if keys is None:
        return Link(context, endpoint)
    return Link(context, endpoint, KeyPair(public=keys.public, secret=keys.secret), server or keys.server)


def secure(socket: zmq.Socket[bytes], endpoint: str, *, server: bool = False) -> None:
    """Give a plain socket the keys that one of ours would have."""
    if not endpoint.startswith("tcp"):
        return
    pair = SERVER if server else CLIENT
    socket.curve_publickey, socket.curve_secretkey = pair.public.encode(), pair.secret.encode()
    if server:
        socket.curve_server = True
        socket.zap_domain = DOMAIN.encode()
    else:
        socket.curve_serverkey = SERVER.public.encode()
