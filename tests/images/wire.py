"""A TCP connection between a client and a server that can be cut."""

import socket
import threading
from contextlib import suppress

PIECE = 16 * 1024


class Wire:
    """Passes everything on between 127.0.0.1:`port` and a server, until it is cut.

    Args:
        to_port: The server's port on loopback.
    """

    def __init__(self, to_port: int) -> None:
        self._to = to_port
        self._limit: int | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, sent: int) -> None:
        """From now on end each connection on which the client has sent more than so many bytes; 0 ends all at once."""
        self._limit = sent
        if sent == 0:
            with self._lock:
                for each in self._open:
                    _end(each)

    def mend(self) -> None:
        """Pass everything on again."""
        self._limit = None

    def close(self) -> None:
        """End everything."""
        self._listener.close()
        self.cut_after(0)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        if self._limit == 0:
            self.cuts += 1
            _end(client)
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            _end(client)
            return
        with self._lock:
            self._open |= {client, server}
        back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
        back.start()
        self._pass_on(client, server, counted=True)
        back.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, *, counted: bool = False) -> None:
        sent = 0
        with suppress(OSError):
            while piece := source.recv(PIECE):
                sent += len(piece)
                if counted and self._limit is not None and sent > self._limit:
                    self.cuts += 1
                    _end(source)
                    break
                target.sendall(piece)
        _end(target)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
