#!/usr/bin/env bash
# A write over a connection that PostgreSQL has ended for its idleness: three of four clients do not say that the server did it.
# Versions: PostgreSQL 15.18 (Debian) with idle_session_timeout, PyPI psycopg 3.3.9 and asyncpg 0.32.0, npm pg 8.23.1, crate tokio-postgres 0.7.18.
# Expected: the error has the SQLSTATE that the server sent, 57P05. It was sent before the write, so nothing was written.
# Seen: psycopg's error has it. asyncpg has "connection is closed", pg "not queryable", tokio-postgres "connection closed", all without a code:
# the same words as for a connection that broke after the write was sent. pg gives the code to an event that ends the process unless it is
# handled; tokio-postgres to the future of the connection, which most programs only log.
# Consequence: a program that repeats a write only where nothing can have been written repeats none of these, or all that break. Keep what the
# event or the future said.
source "$(dirname "$0")/support/common.sh"
source "$here/support/postgresql.sh"

cluster server
postgres server -c idle_session_timeout=300
url=postgresql://postgres@127.0.0.1:$port/postgres
sql "$port" postgres "CREATE TABLE flags (name text)"
python_packages psycopg==3.3.9 psycopg-binary==3.3.9 asyncpg==0.32.0 async-timeout==5.0.1 typing_extensions==4.15.0
npm_packages pg@8.23.1
rust_probe 'tokio-postgres = "=0.7.18"' 'tokio = { version = "1", features = ["macros", "rt", "time"] }' <<'RUST'
fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", |code| code.code())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let error = client.execute("INSERT INTO flags VALUES ('x')", &[]).await.unwrap_err();
    println!("tokio-postgres: {}, {error}", code(&error));
    let error = connection.await.unwrap().unwrap_err();
    println!("tokio-postgres, its connection: {}", code(&error));
}
RUST
cat >"$home/ask.py" <<'PYTHON'
import asyncio, sys, time
import asyncpg, psycopg

async def asynchronous():
    connection = await asyncpg.connect(sys.argv[1])
    await asyncio.sleep(1)
    try:
        await connection.execute("INSERT INTO flags VALUES ('x')")
    except Exception as error:
        print(f"asyncpg: {getattr(error, 'sqlstate', None) or 'none'}, {error}")

connection = psycopg.connect(sys.argv[1], autocommit=True)
time.sleep(1)
try:
    connection.execute("INSERT INTO flags VALUES ('x')")
except psycopg.Error as error:
    print(f"psycopg: {error.sqlstate}, {error}")
asyncio.run(asynchronous())
PYTHON
cat >"$home/ask.mjs" <<'NODE'
import pg from "pg";
const client = new pg.Client({ connectionString: process.argv[2] });
const events = [];
client.on("error", (error) => events.push(error.code ?? "none"));
await client.connect();
await new Promise((done) => setTimeout(done, 1000));
await client.query("INSERT INTO flags VALUES ('x')").catch((error) => console.log(`pg: ${error.code ?? "none"}, ${error.message}`));
console.log(`pg, its events: ${events.join(" ")}`);
process.exit(0);
NODE
{
  python3 "$home/ask.py" "$url"
  (cd "$home" && timeout 60 node ask.mjs "$url")
  timeout 60 "$probe" "$url"
} >"$home/out"
expected "57P05 from each client, and no row"
while read -r line; do seen "$line"; done <"$home/out"
rows=$(sql "$port" postgres "SELECT count(*) FROM flags")
seen "rows: $rows"
wanted='psycopg: 57P05, terminating connection due to idle-session timeout
asyncpg: none, connection is closed
pg: none, Client has encountered a connection error and is not queryable
pg, its events: 57P05 none
tokio-postgres: none, connection closed
tokio-postgres, its connection: 57P05'
[ "$(cat "$home/out")" = "$wanted" ] && [ "$rows" = 0 ] || changed "what the errors say"
