"""Whose the other end of a connection is: by the kernel's interface, and by its table where it has no such thing."""

import os
import socket
import sys
from collections.abc import Callable

import pytest

from cumulet.services.lambda_.execution import peers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")
Find = Callable[[peers.Address, peers.Address], int | None]


@pytest.mark.parametrize("find", [peers.find_owner, peers._find_in_table])
def test_own_connections_are_ones_own(find: Find) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, peer = listener.accept()
        with accepted:
            assert find(peer, accepted.getsockname()) == os.geteuid()
            assert find(("127.0.0.1", 1), accepted.getsockname()) is None
            assert find(peer, ("127.0.0.2", accepted.getsockname()[1])) is None
        assert client.fileno() > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
@pytest.mark.parametrize("find", [peers.find_owner, peers._find_in_table])
def test_those_of_another_user_are_that_users(find: Find) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        os.fchown(client.fileno(), 60_500, 60_500)  # as if 60500 had made it
        client.connect(listener.getsockname())
        accepted, peer = listener.accept()
        with accepted:
            assert find(peer, accepted.getsockname()) == 60_500
