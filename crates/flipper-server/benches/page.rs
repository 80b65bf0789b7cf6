//! The page with 5,000 flags in Chromium: what is transferred, how long script and layout take by the browser's own trace, and how long
//! a change by another takes until it is on the screen. Fails beyond its limits.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program of its own")]

use std::sync::Arc;

use flipper::json::Json;
use flipper::store::Precondition;
use flipper::{Condition, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, Page};
use flipper_testkit::block_on;

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/page/browser.rs"]
mod browser;
#[path = "../tests/support/mod.rs"]
mod support;

use browser::Browser;
use support::Running;

const FLAGS: usize = 5000;
const BYTES: f64 = 60.0 * 1024.0;
/// Milliseconds.
const FIRST_PAINT: f64 = 150.0;
const ON_SCREEN: f64 = 250.0;

fn main() {
    // `cargo test` builds and runs benchmarks too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let Some(mut browser) = Browser::open() else { return };
    let store = Arc::new(MemoryFeatureFlagStore::new());
    for number in 0..FLAGS {
        let mut record = FlagRecord::new(format!("TEAM_{:02}_FEATURE_{number:04}", number % 37), 1_700_000_000);
        record.set_enabled(number % 3 == 0);
        record.add_condition(Condition::new().one_of("plan", [&*format!("plan{}", number % 11)]));
        let data = format!(
            r#"{{"description": "What number {number} turns on", "owner": "team {}", "tags": ["t{}"]}}"#,
            number % 40,
            number % 23
        );
        record.set_client_data(Json::parse(&data).unwrap().as_object().unwrap().clone());
        block_on(store.put(&record, Precondition::Absent.into())).unwrap();
    }
    // What an hour of an incident leaves.
    let ann = FeatureFlagClient::new(store.clone()).as_actor("ann").because("incident 42");
    for number in 0..200 {
        let name = format!("TEAM_{:02}_FEATURE_{number:04}", number % 37);
        block_on(ann.update(&name, |flag| {
            flag.set_enabled(!flag.is_enabled());
            Ok(())
        }))
        .unwrap();
    }
    let site = Running::start(App::new(store).page(Page::new()), HttpOptions::default());
    let url = site.url();
    let number = |browser: &mut Browser, script: &str| browser.run(script).as_f64().unwrap();
    let bytes = number(
        &mut browser,
        &format!(
            "await open('cold', 'about:blank');
             const session = await tabs.cold.context().newCDPSession(tabs.cold);
             await session.send('Network.enable');
             let bytes = 0;
             session.on('Network.loadingFinished', ({{ encodedDataLength }}) => {{ bytes += encodedDataLength }});
             await tabs.cold.goto('{url}/flags');
             await tabs.cold.waitForTimeout(500);
             return bytes"
        ),
    );
    // Time of the processor, each moment once: a script that lays out is in both.
    let first_paint = |browser: &mut Browser, path: &str| {
        let script = format!(
            "const names = ['Layout', 'UpdateLayoutTree', 'EvaluateScript', 'FunctionCall', 'v8.compile', 'ParseHTML', 'PrePaint', 'Paint', 'Layerize'];
             const times = [];
             for (let load = 0; load < 7; load++) {{
                 await open('t', 'about:blank');
                 await tabs.t.setViewportSize({{ width: 1440, height: 900 }});
                 const browser = tabs.t.context().browser();
                 await browser.startTracing(tabs.t, {{ categories: ['devtools.timeline', 'v8', 'loading'] }});
                 await tabs.t.goto('{url}{path}');
                 const {{ traceEvents }} = JSON.parse((await browser.stopTracing()).toString());
                 await tabs.t.context().close();
                 const end = {{}};
                 let sum = 0;
                 const counted = traceEvents.filter(({{ name, ph, tdur }}) => ph === 'X' && tdur !== undefined && names.includes(name));
                 for (const {{ pid, tid, ts, dur, tdur }} of counted.sort((a, b) => a.ts - b.ts)) {{
                     if (ts < (end[`${{pid}} ${{tid}}`] ?? 0)) continue;
                     end[`${{pid}} ${{tid}}`] = ts + dur;
                     sum += tdur / 1000;
                 }}
                 if (sum === 0) throw new Error('the trace has nothing of the page');
                 times.push(sum);
             }}
             return times.sort((a, b) => a - b)[3]"
        );
        number(browser, &script)
    };
    let paint = first_paint(&mut browser, "/flags");
    let of_history = first_paint(&mut browser, "/flags/-/history");
    let of_flag = first_paint(&mut browser, "/flags/TEAM_00_FEATURE_0000");
    let delays = browser.run(&format!(
        "await open('w', '{url}/flags');
         await tabs.w.waitForTimeout(1000);
         const now = () => performance.timeOrigin + performance.now();
         const delays = [];
         for (let flip = 0; flip < 21; flip++) {{
             const enabled = flip % 2 === 1;
             const seen = tabs.w.evaluate((to) => new Promise((done) => {{
                 const look = () => {{
                     const row = document.querySelector('#flags > li .switch');
                     if (row.getAttribute('aria-checked') === to) requestAnimationFrame(() => done(performance.timeOrigin + performance.now()));
                     else requestAnimationFrame(look);
                 }};
                 look();
             }}), String(enabled));
             const name = await tabs.w.getAttribute('#flags > li', 'data-name');
             const began = now();
             await fetch('{url}/api/v1/flags/' + name, {{ method: 'PATCH', headers: {{ 'Content-Type': 'application/json' }}, body: JSON.stringify({{ enabled }}) }});
             delays.push(await seen - began);
             await tabs.w.waitForTimeout(300);
         }}
         return delays.sort((a, b) => a - b)"
    ));
    let delay = |at: usize| delays[at].as_f64().unwrap();
    println!("the page with {FLAGS} flags, in Chromium");
    println!("  transferred, first view            {:6.1} KiB   at most {:.0}", bytes / 1024.0, BYTES / 1024.0);
    println!("  parse, script, layout and paint    {paint:6.1} ms    at most {FIRST_PAINT:.0} (median of 7)");
    println!("  the same of the history's page     {of_history:6.1} ms");
    println!("  the same of a flag's page          {of_flag:6.1} ms");
    println!(
        "  a flip elsewhere on the screen     {:6.1} ms    at most {ON_SCREEN:.0} (median of 21; the slowest {:.1})",
        delay(10),
        delay(20)
    );
    assert!(bytes <= BYTES && paint <= FIRST_PAINT && delay(10) <= ON_SCREEN, "beyond a limit");
}
