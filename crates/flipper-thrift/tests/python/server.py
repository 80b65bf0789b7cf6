"""A server as a user of the Python library writes it: TThreadedServer, and a handler with the six calls. Prints its port."""

import json
import sys
import time

from flipper import MemoryFeatureFlagStore, ThriftRPCFeatureFlagStore
from flipper.contrib.storage import FeatureFlagStoreMeta
from flipper_thrift.python.feature_flag_store import FeatureFlagStore as TFeatureFlagStore
from flipper_thrift.python.feature_flag_store import ttypes
from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.server import TServer
from thrift.transport import TSocket, TTransport


class Handler:
    def __init__(self):
        self.flags = {}

    def Create(self, feature_name, is_enabled, client_data):
        meta = ttypes.FeatureFlagStoreMeta(
            created_date=int(time.time()), client_data=client_data, conditions=[], bucketer='{"type": "NoOpBucketer"}'
        )
        self.flags[feature_name] = ttypes.FeatureFlagStoreItem(feature_name, is_enabled, meta)
        return self.flags[feature_name]

    def Get(self, feature_name):
        try:
            return self.flags[feature_name]
        except KeyError:
            raise ttypes.FlipperException(code=ttypes.ErrorCode.NOT_FOUND, message="no such flag")

    def Set(self, feature_name, is_enabled):
        item = self.Get(feature_name)
        self.flags[feature_name] = ttypes.FeatureFlagStoreItem(feature_name, is_enabled, item.meta)

    def Delete(self, feature_name):
        self.flags.pop(feature_name, None)

    def List(self, limit, offset):
        names = sorted(self.flags)[offset or 0 :]
        return [self.flags[name] for name in (names if limit is None else names[:limit])]

    def SetMeta(self, feature_name, meta):
        if feature_name == "BROKEN_HANDLER":
            raise RuntimeError("database is down")
        item = self.Get(feature_name)
        self.flags[feature_name] = ttypes.FeatureFlagStoreItem(feature_name, item.is_enabled, meta)


class LibraryHandler:
    """As `Handler`, over a store of the library, whose flags it converts, as our server does."""

    def __init__(self):
        self.store = MemoryFeatureFlagStore()
        self.convert = ThriftRPCFeatureFlagStore(None)

    def item(self, item):
        meta = self.convert._convert_meta_to_tmeta(FeatureFlagStoreMeta.from_dict(item.meta))
        return ttypes.FeatureFlagStoreItem(item.feature_name, item.raw_is_enabled, meta)

    def Create(self, feature_name, is_enabled, client_data):
        return self.item(self.store.create(feature_name, is_enabled, json.loads(client_data)))

    def Get(self, feature_name):
        item = self.store.get(feature_name)
        if item is None:
            raise ttypes.FlipperException(code=ttypes.ErrorCode.NOT_FOUND, message="no such flag")
        return self.item(item)


def main(transport, protocol, handler="dict"):
    transports = {"buffered": TTransport.TBufferedTransportFactory, "framed": TTransport.TFramedTransportFactory}
    protocols = {
        "binary": TBinaryProtocol.TBinaryProtocolFactory,
        "accelerated": TBinaryProtocol.TBinaryProtocolAcceleratedFactory,
        "compact": TCompactProtocol.TCompactProtocolFactory,
    }
    socket = TSocket.TServerSocket(host="127.0.0.1", port=0)
    socket.listen()
    # A second call would listen on another port.
    socket.listen = lambda: None
    print("@%d" % socket.handle.getsockname()[1], flush=True)
    processor = TFeatureFlagStore.Processor(LibraryHandler() if handler == "library" else Handler())
    server = TServer.TThreadedServer(processor, socket, transports[transport](), protocols[protocol](), daemon=True)
    server.serve()


main(*sys.argv[1:])
