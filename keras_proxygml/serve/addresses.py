"""Addresses to listen at: which are this machine's own, and whether a port is free."""

import errno
import ipaddress
import socket
from typing import NoReturn

from keras_proxygml.checks import check_integer, refuse


def is_loopback(host: str) -> bool:
    """Tells whether a host can be reached from this machine alone.

    Args:
        host: A name or an address.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Opens a socket that listens.

    Args:
        host: A name or an address.
        port: 0 takes any free one.

    Returns:
        The socket.

    Raises:
        ValueError: If the host is not this machine's, or the port is in use or not allowed.
    """
    check_integer("port", port, 0, 2**16 - 1)  # the system would take a greater one modulo 2**16
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address[:2], family=family, backlog=2048)
        # Its connections inherit this. asyncio sets it only where a socket names its protocol,
        # and without it the end of an answer waits about 40 ms for the client.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except socket.gaierror as error:
        hint = "Give 127.0.0.1, or 0.0.0.0 to be reached from other machines."
        refuse("host", "be an address of this machine", f"host={host!r} ({error.strerror})", hint)
    except OSError as error:
        _refuse_address(error, host, port)


def _refuse_address(error: OSError, host: str, port: int) -> NoReturn:
    if error.errno == errno.EADDRINUSE:
        received = f"port={port}, which another program uses on {host}"
        hint = f"Stop that program, or give another port, such as port={min(port + 1, 65535)}."
        refuse("port", "be free", received, hint)
    if error.errno == errno.EACCES:
        refuse("port", "be allowed to you", f"port={port}", "Give one of 1024 or more.")
    refuse("host", "be an address of this machine", f"host={host!r} ({error.strerror})")
