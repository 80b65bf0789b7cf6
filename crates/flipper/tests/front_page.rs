//! README and `lib.rs` name every public store, wrapper, feature and guide.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

fn at_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(at_root(path)).unwrap()
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

fn rows(document: &str) -> String {
    let lines = read(document);
    let lines = lines.lines().map(|line| line.trim_start_matches("//! "));
    lines.filter(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_store_and_wrapper_is_in_the_tables() {
    let mut files = Vec::new();
    for folder in ["crates/flipper/src/stores", "crates/flipper/src/wrappers"] {
        files_below(&at_root(folder), &mut files);
    }
    let sources: Vec<_> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let structs = sources.iter().flat_map(|source| source.split("\npub struct ").skip(1));
    let names = structs.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap());
    let stores: Vec<_> = names.filter(|name| name.ends_with("FeatureFlagStore")).collect();
    assert!(stores.len() >= 7, "only {stores:?}");
    for document in ["crates/flipper/src/lib.rs", "README.md", "docs/stores.md"] {
        let rows = rows(document);
        for store in &stores {
            assert!(rows.contains(&format!("`{store}`")), "{store} is in no table of {document}");
        }
    }
}

#[test]
fn every_feature_is_on_the_front_page() {
    let manifest = read("crates/flipper/Cargo.toml");
    let (_, features) = manifest.split_once("\n[features]\n").unwrap();
    let lines = features.lines().take_while(|line| !line.starts_with('['));
    let features: Vec<_> = lines.filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    assert!(features.len() > 8, "only {features:?}");
    let rows = rows("crates/flipper/src/lib.rs");
    for feature in features.into_iter().filter(|feature| *feature != "default") {
        assert!(rows.contains(&format!("`{feature}`")), "the feature {feature} is in no table of lib.rs");
    }
}

#[test]
fn every_guide_is_a_page() {
    let mut files = Vec::new();
    files_below(&at_root("docs"), &mut files);
    let guides = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md"));
    let pages = read("crates/flipper/src/_guide.rs");
    let (front_page, readme) = (read("crates/flipper/src/lib.rs"), read("README.md"));
    for guide in guides {
        let file = guide.file_name().unwrap().to_str().unwrap();
        let page = file.trim_end_matches(".md").replace('-', "_");
        assert!(pages.contains(&format!("page!({page}: \"{file}\"")), "{file} is no page of the documentation");
        assert!(front_page.contains(&format!("(_guide::{page})")), "lib.rs has no link to {page}");
        assert!(readme.contains(&format!("(docs/{file})")), "README.md has no link to {file}");
    }
}

/// A relative link works on a page only if it has a definition that `_guide.rs` replaces.
#[test]
fn the_guides_links_lead_to_pages() {
    let pages = read("crates/flipper/src/_guide.rs");
    let mut files = Vec::new();
    files_below(&at_root("docs"), &mut files);
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(file).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            // A page shows what a picture shows in words.
            let is_picture = link.starts_with("images/") && at_root("docs").join(link).exists();
            assert!(link.starts_with('#') || link.starts_with("http") || is_picture, "{}: {link}", file.display());
        }
        for definition in text.lines().filter(|line| line.starts_with('[')) {
            if let Some((key, _)) = definition.split_once("]: ") {
                assert!(pages.contains(&format!("\"{key}]: crate::_guide::")), "{}: {definition}", file.display());
            }
        }
    }
}
