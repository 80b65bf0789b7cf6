"""What is read of client objects, in the versions of their packages that are installed. Nothing is sent anywhere."""

import ssl
import subprocess
import sys

import pytest
from flipper.contrib._clients import consul as consul_clients
from flipper.contrib._clients import redis as redis_clients
from flipper.contrib._clients import thrift as thrift_clients
from servers import package

redis = package("redis")


def test_packages_of_clients_are_not_imported():
    code = "import sys, flipper; print({'redis', 'valkey', 'consul', 'requests', 'thrift', 'flipper_thrift'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def url_of(client):
    server = redis_clients.read(client)
    return None if server is None else server.url


def from_url(url, **options):
    return redis.Redis.from_url(url, **options)


@pytest.mark.parametrize(
    ("client", "url"),
    [
        (lambda: redis.Redis(), "redis://localhost:6379/0"),
        (lambda: redis.StrictRedis(host="h", port=1, db=2), "redis://h:1/2"),
        (lambda: redis.Redis("h", "1", "2", "p"), "redis://:p@h:1/2"),
        (lambda: redis.Redis(username="u", password="p:@/?#%"), "redis://u:p%3A%40%2F%3F%23%25@localhost:6379/0"),
        (lambda: redis.Redis(username="u"), "redis://u:@localhost:6379/0"),
        (lambda: redis.Redis(host="::1"), "redis://[::1]:6379/0"),
        # Its pool's dict has the host alone.
        (lambda: from_url("redis://h"), "redis://h:6379/0"),
        (lambda: from_url("redis://u:p@h:1/2"), "redis://u:p@h:1/2"),
        (lambda: from_url("redis://h/2?db=4"), "redis://h:6379/4"),
        (lambda: from_url("redis://h?host=other"), "redis://h:6379/0"),
        (lambda: from_url("redis://h?port=9"), "redis://h:9/0"),
        (lambda: from_url("redis://h?decode_responses=false"), "redis://h:6379/0"),
        (lambda: from_url("unix://u:p@/run/r.sock?db=3"), "redis+unix://u:p@/run/r.sock?db=3"),
        (lambda: redis.Redis(unix_socket_path="/run/a b"), "redis+unix:///run/a%20b?db=0"),
        # Its pool's dict is empty.
        (lambda: redis.Redis(connection_pool=redis.ConnectionPool()), "redis://localhost:6379/0"),
        (lambda: redis.Redis(connection_pool=redis.BlockingConnectionPool(host="h")), "redis://h:6379/0"),
        (lambda: redis.Redis(single_connection_client=False, socket_timeout=1), "redis://localhost:6379/0"),
    ],
)
def test_addresses_in_redis(client, url):
    assert url_of(client()) == url


class Connection(redis.Connection):
    """Of the program's own."""


class Pool(redis.ConnectionPool):
    """Of the program's own."""


class Client(redis.Redis):
    """Of the program's own."""


@pytest.mark.parametrize(
    "client",
    [
        lambda: Client(),
        lambda: redis.Redis(connection_pool=Pool()),
        lambda: redis.Redis(connection_pool=redis.ConnectionPool(connection_class=Connection)),
        # They fail at the first command, and say why.
        lambda: from_url("redis://h?ssl=true"),
        lambda: from_url("redis://h?no_such_option=1"),
        lambda: redis.Redis(connection_pool=redis.ConnectionPool(redis_connect_func=print)),
        lambda: redis.Redis(password=b"bytes"),
        lambda: redis.Redis(ssl=True, ssl_ca_path="/etc/ssl"),
        lambda: redis.Redis(ssl=True, ssl_ca_data="PEM"),
        lambda: redis.Redis(db=-1),
        lambda: redis.Redis(db="x"),
        lambda: redis.Redis(host=""),
        lambda: redis.Redis(port="x"),
        lambda: redis.Redis().pipeline(),
        lambda: object(),
        lambda: None,
    ],
)
def test_clients_of_redis_that_are_called(client):
    assert redis_clients.read(client()) is None


@pytest.mark.skipif(not hasattr(redis, "CredentialProvider"), reason="there are none in this version")
def test_credentials_that_change_are_not_read():
    assert url_of(redis.Redis(credential_provider=redis.UsernamePasswordCredentialProvider("u", "p"))) is None


def test_tls_in_redis():
    whole = {"ssl": True, "ssl_check_hostname": True}
    server = redis_clients.read(redis.Redis(host="h", port=1, db=2, password="p", **whole))
    assert (server.url, server.lax) == ("rediss://:p@h:1/2", {})
    files = {"ssl_ca_certs": "/a b", "ssl_certfile": "/c", "ssl_keyfile": "/k"}
    server = redis_clients.read(redis.Redis(**whole, **files))
    assert (server.url, server.lax) == ("rediss://localhost:6379/0?ca=%2Fa%20b&cert=%2Fc&key=%2Fk", {})
    server = redis_clients.read(redis.Redis(ssl=True, ssl_check_hostname=False, **files))
    assert server.lax == {"certificate": True, "ca": "/a b", "cert": "/c", "key": "/k"}
    server = redis_clients.read(from_url("rediss://u:p@h:1/2?ssl_cert_reqs=none", ssl_check_hostname=False))
    assert (server.url, server.lax) == ("rediss://u:p@h:1/2", {"certificate": False})


def test_the_default_of_host_names_is_that_of_the_version():
    client = redis.Redis(ssl=True)
    connection = redis.SSLConnection()
    assert connection.cert_reqs == ssl.CERT_REQUIRED
    assert redis_clients.read(client).lax == ({} if connection.check_hostname else {"certificate": True})


@pytest.mark.parametrize("protocol", [2, "2", 3])
def test_the_protocol_is_the_stores_own_matter(protocol):
    if int(redis.__version__.split(".")[0]) < 5:
        pytest.skip("redis: no protocol can be asked for in this version")
    # Some versions say 2 where nothing was asked for, and it is another one's answers that a program may have asked for.
    assert url_of(from_url(f"redis://h?protocol={protocol}")) == "redis://h:6379/0"


def test_sentinels():
    hosts = [("a", 1), ("b", 2)]
    manager = redis.sentinel.Sentinel(hosts, sentinel_kwargs={"password": "x/"}, password="y")
    # An unconnected connection of it says localhost:6379.
    assert url_of(manager.master_for("m", db=3)) == "redis-sentinel://:y@a:1,b:2/m/3?sentinel_password=x%2F"
    assert url_of(redis.sentinel.Sentinel(hosts).master_for("a b")) == "redis-sentinel://a:1,b:2/a%20b/0"
    assert url_of(manager.slave_for("m")) is None
    assert url_of(redis.sentinel.Sentinel(hosts).master_for("m", ssl=True)) is None


def test_fakes_of_redis():
    fakeredis = package("fakeredis")
    for fake in (
        fakeredis.FakeStrictRedis(),
        fakeredis.FakeRedis(host="h", port=1),
        fakeredis.FakeRedis.from_url("redis://h"),
    ):
        assert url_of(fake) is None
        # A real client with the fake's pool.
        assert url_of(redis.Redis(connection_pool=fake.connection_pool)) is None


def test_clients_that_a_test_has_changed(monkeypatch):
    from unittest.mock import MagicMock

    client = redis.Redis()
    client.get = MagicMock()
    assert url_of(client) is None
    monkeypatch.setattr(redis.Redis, "execute_command", MagicMock())
    assert url_of(redis.Redis()) is None


def test_valkey():
    valkey = package("valkey")
    assert url_of(valkey.Valkey(host="h", port=1, db=2, password="p")) == "redis://:p@h:1/2"
    assert url_of(valkey.Valkey.from_url("valkey://h")) == "redis://h:6379/0"


def test_nothing_shows_a_password():
    assert "s3cr3t" not in repr(redis_clients.read(redis.Redis(password="s3cr3t")))


@pytest.fixture
def consul(monkeypatch):
    for name in ("ADDR", "TOKEN", "SSL", "SSL_VERIFY"):
        monkeypatch.delenv(f"CONSUL_HTTP_{name}", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return package("consul")


def test_addresses_in_consul(consul):
    server = consul_clients.read(consul.Consul())
    assert (server.address, server.token, server.datacenter) == ("http://127.0.0.1:8500", None, None)
    server = consul_clients.read(consul.Consul(host="h", port="1", token="s3cr3t", dc="d", consistency="stale"))
    assert (server.address, server.token, server.datacenter, server.consistency) == (
        "http://h:1",
        "s3cr3t",
        "d",
        "stale",
    )
    assert "s3cr3t" not in repr(server)


def test_tls_in_consul(consul, monkeypatch):
    import requests

    read = consul_clients.read
    server = read(consul.Consul(scheme="https", verify=True))
    assert (server.address, server.verify, server.ca) == ("https://127.0.0.1:8500", True, requests.certs.where())
    assert read(consul.Consul(scheme="https", verify="/ca")).ca == "/ca"
    assert read(consul.Consul(scheme="https", verify=False)).verify is False
    server = read(consul.Consul(scheme="https", verify=True, cert=("/c", "/k")))
    assert (server.cert, server.key) == ("/c", "/k")
    server = read(consul.Consul(scheme="https", verify=True, cert="/both"))
    assert (server.cert, server.key) == ("/both", "/both")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/bundle")
    assert read(consul.Consul(scheme="https", verify=True)).ca == "/bundle"


def test_what_consul_reads_of_the_environment(consul, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "h:1")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "t")
    server = consul_clients.read(consul.Consul(token="mine"))
    assert (server.address, server.token) == ("http://h:1", "t")
    monkeypatch.setenv("CONSUL_HTTP_SSL", "true")
    monkeypatch.setenv("CONSUL_HTTP_SSL_VERIFY", "false")
    client = consul.Consul()
    server = consul_clients.read(client)
    assert (server.address, server.verify) == (client.http.base_uri, client.http.verify)
    # Arguments or the environment: the object has what the version chooses.
    client = consul.Consul(host="other", port=2)
    assert consul_clients.read(client).address == client.http.base_uri


def test_clients_of_consul_that_are_called(consul, monkeypatch):
    from unittest.mock import MagicMock

    class Client(consul.Consul):
        pass

    proxied, headed, adapted, patched, moved = (consul.Consul() for _ in range(5))
    proxied.http.session.proxies["http"] = "http://proxy"
    headed.http.session.headers["Authorization"] = "Basic x"
    adapted.http.session.mount("http://", MagicMock())
    patched.kv.get = MagicMock()
    moved.http.base_uri = "http://h:1/prefix"
    for client in (Client(), MagicMock(), object(), proxied, headed, adapted, patched, moved):
        assert consul_clients.read(client) is None
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert consul_clients.read(consul.Consul(host="consul.example")) is None


@pytest.fixture
def thrift(monkeypatch):
    thrift = package("thrift")
    # It would ask a server, which does not exist.
    monkeypatch.setattr(thrift_clients, "_has_our_calls", lambda *_: True)
    return thrift


def thrift_client(transport="TBufferedTransport", protocol="TBinaryProtocol", socket=None, **options):
    from flipper_thrift.python.feature_flag_store import FeatureFlagStore
    from thrift.protocol import TBinaryProtocol, TCompactProtocol
    from thrift.transport import TSocket, TTransport

    socket = TSocket.TSocket("h", 1) if socket is None else socket
    module = TCompactProtocol if "Compact" in protocol else TBinaryProtocol
    return FeatureFlagStore.Client(getattr(module, protocol)(getattr(TTransport, transport)(socket), **options))


@pytest.mark.parametrize("protocol", ["TBinaryProtocol", "TBinaryProtocolAccelerated", "TCompactProtocol"])
@pytest.mark.parametrize("transport", ["TBufferedTransport", "TFramedTransport"])
def test_addresses_in_thrift(thrift, transport, protocol):
    how = "buffered" if "Buffered" in transport else "framed"
    kind = "compact" if "Compact" in protocol else "binary"
    assert thrift_clients.read(thrift_client(transport, protocol)) == f"thrift://h:1?transport={how}&protocol={kind}"


def test_clients_of_thrift_that_are_called(thrift):
    from unittest.mock import MagicMock

    from flipper_thrift.python.feature_flag_store import FeatureFlagStore
    from thrift.protocol import TBinaryProtocol, TJSONProtocol
    from thrift.transport import THttpClient, TSocket, TTransport

    class Client(FeatureFlagStore.Client):
        pass

    class Socket(TSocket.TSocket):
        pass

    plain = thrift_client()
    two = FeatureFlagStore.Client(plain._iprot, TBinaryProtocol.TBinaryProtocol(TTransport.TMemoryBuffer()))
    patched = thrift_client()
    patched.Get = MagicMock()
    for client in (
        # It shows localhost and 9090, too.
        thrift_client(socket=TSocket.TSocket(unix_socket="/run/flags")),
        thrift_client(socket=Socket("h", 1)),
        thrift_client(socket=THttpClient.THttpClient("http://h/")),
        thrift_client(strictWrite=False),
        FeatureFlagStore.Client(TJSONProtocol.TJSONProtocol(TTransport.TBufferedTransport(TSocket.TSocket("h", 1)))),
        FeatureFlagStore.Client(TBinaryProtocol.TBinaryProtocol(TSocket.TSocket("h", 1))),
        Client(plain._iprot),
        two,
        patched,
        MagicMock(),
        object(),
    ):
        assert thrift_clients.read(client) is None
