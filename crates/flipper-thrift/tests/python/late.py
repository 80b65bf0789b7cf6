"""A client whose read times out while the store behind the server is frozen. It reports each step, and continues on command."""

import sys

from flipper_thrift.python.feature_flag_store import FeatureFlagStore, ttypes
from thrift import Thrift
from thrift.protocol import TBinaryProtocol
from thrift.transport import TSocket, TTransport

port, timeout_ms = int(sys.argv[1]), int(sys.argv[2])


def connect():
    socket = TSocket.TSocket("127.0.0.1", port)
    socket.setTimeout(timeout_ms)
    transport = TTransport.TBufferedTransport(socket)
    client = FeatureFlagStore.Client(TBinaryProtocol.TBinaryProtocol(transport))
    transport.open()
    return client, transport


def get(name):
    """The name of the returned flag, or why none came."""
    try:
        return client.Get(name).feature_name
    except ttypes.FlipperException as error:
        assert error.code == ttypes.ErrorCode.NOT_FOUND, error
        return "missing"
    except Thrift.TApplicationException as error:
        return f"error: {error.message}"
    except TTransport.TTransportException as error:
        return "timeout" if "timed out" in str(error) else "closed"
    except OSError:
        return "closed"


client, transport = connect()
assert get("A") == "A"
print("@ready", flush=True)
for line in sys.stdin:
    command, name = line.split()
    if command == "connect":
        transport.close()
        client, transport = connect()
        print("@connected", flush=True)
    else:
        print("@" + get(name), flush=True)
