"""A small proxy: forward.py PORT TARGET, until it is stopped."""
import contextlib, socket, sys, threading

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
while True:
    client, server = listener.accept()[0], socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for pair in ((client, server), (server, client)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
