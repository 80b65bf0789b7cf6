//! The examples of docs/ofrep.md, run as they are, but for the server's address.

use std::process::Command;

use flipper::Condition;
use flipper_testkit::{program, skip};

use crate::support::{Server, Web, node_script, python};

const PAGE: &str = include_str!("../../../../docs/ofrep.md");
const ADDRESS: &str = "https://flags.example.com";

/// The only block in this language.
#[track_caller]
fn example(language: &str) -> String {
    let mut blocks = PAGE.split("\n```").filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    let block = blocks.next().unwrap_or_else(|| panic!("no example in {language}"));
    assert!(blocks.next().is_none(), "two examples in {language}");
    assert!(block.contains(ADDRESS), "{block}");
    block.to_owned()
}

fn server(web: Option<&Web>) -> Server {
    let origin = web.map(|web| web.origin.clone());
    let server = Server::with(move |app, url| {
        app.targeting_key_as("user_id").public_url(url).unwrap().cors_origins(&origin).unwrap()
    });
    server.flag("NEW_CHECKOUT", r#"{"button":"green"}"#, |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    server
}

#[track_caller]
fn prints_the_flag(command: &mut Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text, "true green\n", "{output:?}");
}

#[test]
fn curl() {
    let Some(sh) = program("sh").filter(|_| program("curl").is_some()) else {
        return skip("curl", "it is not installed");
    };
    let server = server(None);
    let output = Command::new(sh).arg("-ec").arg(example("sh").replace(ADDRESS, &server.url())).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answer = r#"{"key":"NEW_CHECKOUT","value":true,"variant":"on","reason":"TARGETING_MATCH","metadata":{"flipper.reason_code":"conditions_met"}}"#;
    let value = answer.replacen("NEW_CHECKOUT", "NEW_CHECKOUT/button", 1).replacen("true", "\"green\"", 1);
    assert_eq!(text.lines().collect::<Vec<_>>(), [answer, &value]);
}

#[test]
fn javascript() {
    let server = server(None);
    let Some((mut command, _folder)) = node_script(&example("js").replace(ADDRESS, &server.url())) else { return };
    prints_the_flag(&mut command);
}

#[test]
fn python_() {
    let server = server(None);
    let Some(python) = python() else { return };
    prints_the_flag(Command::new(python).arg("-c").arg(example("python").replace(ADDRESS, &server.url())));
}

#[test]
fn a_page() {
    let Some(mut web) = Web::open() else { return };
    let server = server(Some(&web));
    let module = example("html").replace(ADDRESS, &server.url());
    let module = module.split_once("<script type=\"module\">").unwrap().1.split_once("</script>").unwrap().0.to_owned();
    // The page's import map leads to the same packages.
    let run = format!(
        "import(URL.createObjectURL(new Blob([{}], {{ type: 'text/javascript' }}))).then(() => document.body.textContent.trim())",
        serde_json::Value::from(module)
    );
    assert_eq!(web.eval(&run), "true green");
}
