"""Ports of this machine, and who answers there."""

import errno
import random
import socket
import urllib.error
import urllib.request


def free_port():
    """One outside the range from which the kernel takes the ports of clients, of which a harness has many."""
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


def http_status(url, timeout=2):
    """The status of the answer; None when there is none."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
