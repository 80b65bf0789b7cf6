//! `--json` output matches docs/cli.schema.json.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use boon::{Compiler, Schemas};
use flipper_testkit::postgres::PostgresServer;
use rustix::process::Signal;
use support::running::Running;
use support::{clean, flipper, run, succeed};

struct Schema {
    document: serde_json::Value,
    used: BTreeSet<String>,
}

impl Schema {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.schema.json");
        let document = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        Self { document, used: BTreeSet::new() }
    }

    #[track_caller]
    fn check(&mut self, definition: &str, lines: &str) {
        self.used.insert(definition.to_owned());
        let mut compiler = Compiler::new();
        compiler.add_resource("schema.json", self.document.clone()).unwrap();
        let mut schemas = Schemas::new();
        let index = compiler.compile(&format!("schema.json#/$defs/{definition}"), &mut schemas).unwrap();
        assert!(!lines.is_empty(), "nothing was written");
        for line in lines.lines() {
            let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            schemas.validate(&value, index).unwrap_or_else(|error| panic!("{line}\nis no {definition}: {error:#}"));
        }
    }
}

#[test]
fn all_commands() {
    let home = tempfile::tempdir().unwrap();
    let mut schema = Schema::read();
    let elsewhere = r#"{"features": [
        {"name": "E", "enabled": true, "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": "50"}}]},
        {"name": "L", "enabled": true, "strategies": [{"name": "Own"}]}]}"#;
    std::fs::write(home.path().join("unleash.json"), elsewhere).unwrap();
    let json = |arguments: &str| {
        let mut command = clean("sh", home.path());
        let (_, out, err) =
            run(command.env("FLIPPER_STORE", "sqlite:flags.db").arg("-c").arg(format!("flipper --json {arguments}")));
        (out, err)
    };
    for (definition, arguments) in [
        ("change", "create A B"),
        ("change", "create C --enable --data '{\"description\": \"c\"}'"),
        ("change", "create C --if-missing"),
        ("entry", "history"),
        ("change", "disable C --because 'too late'"),
        ("change", "undo C --yes --because 'too early'"),
        ("change", "create D --dry-run"),
        ("change", "enable A B"),
        ("change", "disable B"),
        ("change", "toggle B"),
        ("change", "client-data set A n=1"),
        ("change", "client-data unset A m"),
        ("client_data", "client-data get A"),
        ("change", "condition add A 'n in 1,2 and m not in 3 and x = null'"),
        ("condition", "condition list A"),
        ("change", "bucketer A 25% --by n"),
        ("change", "bucketer B 0..50% --over 1h --dry-run"),
        ("record", "get A B"),
        ("flags", "list"),
        ("flags", "list --enabled"),
        ("flags", "list --owner shop"),
        ("stale", "stale --older-than 0s"),
        ("lint", "lint"),
        ("lint", "lint --rule name --name-pattern '[A-Z]+'"),
        ("check", "check A B n=1"),
        ("check", "check A"),
        ("check", "evaluate A B n=3"),
        ("change", "segment set beta 'n in 1,2 and (m starts with x or not m exists)'"),
        ("change", "rule add A 'in segment beta' 25% --by n"),
        ("change", "rule add A --everyone off --name rest"),
        ("rule", "rule list A"),
        ("change", "rule move A 0 1"),
        ("change", "variant set B red=50% blue=50% --by n --value red='[1]' --value blue='{}' --off red"),
        ("variant", "variant list B"),
        ("chosen", "variant get B n=1"),
        ("chosen", "variant get A n=1"),
        ("check", "check B n=1"),
        ("change", "prerequisite add A B=red"),
        ("prerequisite", "prerequisite list A"),
        ("check", "check A n=1"),
        ("check", "evaluate A n=1"),
        ("change", "prerequisite remove A --all"),
        ("check", "evaluate A n=1"),
        ("change", "schedule A --enable-at +2h --step 50%@+3h --by n --dry-run"),
        ("change", "schedule B --enable-at +2h --step 50%@+3h --by n"),
        ("schedule", "schedule A B"),
        ("check", "evaluate B n=1"),
        ("segment", "segment get beta"),
        ("segments", "segment list"),
        ("record", "get A B segments/beta"),
        ("flags", "list"),
        ("change", "rule remove A 0"),
        ("change", "schedule B --clear"),
        ("export", "export | tr -d '\\n'"),
        ("exported", "export flags.json"),
        ("transfer", "import flags.json --store sqlite:b.db"),
        ("change", "disable A --store sqlite:b.db"),
        ("transfer", "import flags.json --store sqlite:b.db --merge --dry-run"),
        ("transfer", "import --from unleash unleash.json --store sqlite:e.db --dry-run"),
        ("transfer", "import --from unleash unleash.json --store sqlite:e.db --lossy"),
        ("diff", "diff sqlite:flags.db sqlite:b.db"),
        ("transfer", "sync sqlite:flags.db sqlite:b.db"),
        ("diff", "diff sqlite:flags.db sqlite:b.db"),
        ("transfer", "sync sqlite:flags.db sqlite:d.db --dry-run"),
        ("stores", "stores"),
        ("stores", "stores --store redis://127.0.0.1:1"),
        ("stores", "stores --store sqlite:nowhere.db"),
        ("doctor", "doctor"),
        ("doctor", "doctor --snapshot nowhere"),
        ("doctor", "doctor --store redis://127.0.0.1:1"),
        ("doctor", "doctor --store sqlite:nowhere.db"),
        ("token", "token create ci --role write --prefix pay. --expires 90d"),
        ("tokens", "token list"),
        ("version", "version"),
        ("change", "segment delete beta --yes"),
        ("lint", "lint"),
        ("change", "variant remove B"),
        ("change", "condition clear A"),
        ("change", "destroy C --yes"),
    ] {
        let (out, err) = json(arguments);
        assert!(!out.is_empty(), "{arguments}: {err}");
        schema.check(definition, &out);
    }
    for arguments in [
        "enable NO_FLAG",
        "create A",
        "create a/b",
        "condition add A 'n >'",
        "list --store redis://127.0.0.1:1",
        "list --store nowhere",
        "destroy A",
        "client-data set A x=\\\"$(head -c 300000 /dev/zero | tr '\\0' x | head -c 120000)\\\" y=\\\"$(head -c 120000 /dev/zero | tr '\\0' x)\\\" z=\\\"$(head -c 120000 /dev/zero | tr '\\0' x)\\\"",
    ] {
        let (_, err) = json(arguments);
        schema.check("error", &err);
    }

    let mut watch = Running::start(flipper(home.path(), "sqlite:flags.db").args(["watch", "--json"]));
    schema.check("event", &watch.line("begin"));
    json("schedule A --clear --enable-at +2s");
    schema.check("event", &watch.line("\"set\""));
    schema.check("event", &watch.line("\"turned\""));
    json("toggle A");
    schema.check("event", &watch.line("\"set\""));
    json("destroy A --yes");
    schema.check("event", &watch.line("\"removed\""));
    let mut sync =
        Running::start(flipper(home.path(), "").args(["sync", "sqlite:flags.db", "sqlite:d.db", "--follow", "--json"]));
    schema.check("transfer", &sync.line("created"));
    sync.line("following");
    json("toggle B");
    schema.check("followed", &sync.line("wrote"));
    sync.signal(Signal::INT);

    if let Some(server) = PostgresServer::start() {
        let command = |arguments: &[&str]| {
            let (_, out, err) = run(flipper(home.path(), &server.url()).args(arguments).arg("--json"));
            assert!(!out.is_empty(), "{arguments:?}: {err}");
            out
        };
        command(&["create", "A"]);
        schema.check("feed", &command(&["postgres", "install"]));
        schema.check("feed_status", &command(&["postgres", "status"]));
        schema.check("feed", &command(&["postgres", "uninstall"]));
    } else {
        schema.used.extend(["feed", "feed_status"].map(str::to_owned));
    }

    schema.used.extend(["changes", "checks", "finding", "flag", "reason", "record_or_null"].map(str::to_owned));
    let defined: BTreeSet<String> = schema.document["$defs"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(schema.used, defined, "every definition has its command");
}

#[test]
fn outages_are_events() {
    let Some(mut redis) = flipper_testkit::redis::RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let mut schema = Schema::read();
    succeed(flipper(home.path(), &redis.url()).args(["create", "A"]));
    let mut watch = Running::start(flipper(home.path(), &redis.url()).args(["watch", "--json"]));
    schema.check("event", &watch.line("\"following\""));
    redis.kill();
    schema.check("event", &watch.line("\"lost\""));
    redis.restart();
    schema.check("event", &watch.line("\"restored\""));
    redis.command(&["SET", "features/A", "no flag"]);
    schema.check("event", &watch.line("\"corrupt\""));
}
