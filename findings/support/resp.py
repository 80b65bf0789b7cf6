"""A RESP3 connection that returns pushes in order of arrival."""
import socket
import time


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.socket.makefile("rb")

    def send(self, *commands):
        text = b""
        for command in commands:
            words = [word.encode() for word in (command.split() if isinstance(command, str) else command)]
            text += b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self.socket.sendall(text)

    def read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:].decode()
        if kind == b"-":
            raise RuntimeError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"_" or rest == "-1":
            return None
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b"%":
            return [(self.read(), self.read()) for _ in range(int(rest))]
        if kind in (b"*", b">"):
            values = [self.read() for _ in range(int(rest))]
            return ("push", values[1]) if kind == b">" else values
        raise ValueError(line)

    def ask(self, *commands):
        """The replies. Only for connections without tracking."""
        self.send(*commands)
        return [self.read() for _ in commands]

    def pushes(self):
        """The reports so far: a list of names each, or None for "everything is gone"."""
        time.sleep(0.2)  # a later round of the server's loop
        self.send("PING")
        found = []
        while (value := self.read()) != "PONG":
            if isinstance(value, tuple):
                found.append(value[1])
        return found


def tracking(port, options=""):
    connection = Connection(port)
    connection.ask("HELLO 3", f"CLIENT TRACKING ON BCAST PREFIX f/ {options}")
    return connection
