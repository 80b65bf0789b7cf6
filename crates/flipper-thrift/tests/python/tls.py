"""A client over TLS, with thrift's own socket. Arguments: port, folder of the certificates, "certificate" or "none". Prints "ok" or the error."""

import ssl
import sys

from flipper import FeatureFlagClient, ThriftRPCFeatureFlagStore
from flipper_thrift.python.feature_flag_store import FeatureFlagStore
from thrift.protocol import TBinaryProtocol
from thrift.transport import TSSLSocket, TTransport

port, folder, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ours = {"certfile": f"{folder}/client.crt", "keyfile": f"{folder}/client.key"} if mode == "certificate" else {}
socket = TSSLSocket.TSSLSocket("127.0.0.1", port, ca_certs=f"{folder}/ca.crt", cert_reqs=ssl.CERT_REQUIRED, **ours)
socket.setTimeout(60_000)
transport = TTransport.TBufferedTransport(socket)
client = FeatureFlagClient(ThriftRPCFeatureFlagStore(FeatureFlagStore.Client(TBinaryProtocol.TBinaryProtocol(transport))))
try:
    transport.open()
    client.create("A", client_data={"large": "x" * 200_000})
    client.enable("A")
    assert client.is_enabled("A") and len(client.get_client_data("A")["large"]) == 200_000
except Exception as error:
    print(f"@refused {type(error).__name__} {error}", flush=True)
else:
    print("@ok", flush=True)
