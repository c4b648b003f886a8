//! All that is known to be hard runs through every target: the fixtures, and what fuzzing found.

#![expect(clippy::unwrap_used, reason = "tests may")]

use std::{collections::BTreeSet, fs, path::Path};

use tollgate_fuzzed::{
    TARGETS, named,
    seeds::{self, MAX_BYTES, pack, seeds, unpack},
};
use tollgate_wire::{
    Dialect,
    dialect::{surface, upstream},
};

/// A thread for each target: a seed that ends one is named by its panic.
#[test]
fn what_is_known_goes_through_every_target() {
    std::thread::scope(|scope| {
        for target in TARGETS {
            let replay = move || {
                let seeds = seeds(target.name);
                assert!(seeds.len() >= 8, "{}: only {} seeds", target.name, seeds.len());
                for seed in seeds {
                    let text = seed.escape_ascii().to_string();
                    let run = std::panic::catch_unwind(|| (target.run)(&seed));
                    assert!(run.is_ok(), "{}: {text}", target.name);
                }
            };
            scope.spawn(replay);
        }
    });
}

/// And so does what is left when it is cut short, or when a byte of it is another.
#[test]
fn damage_goes_through_every_target() {
    std::thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(move || {
                for (n, mut seed) in seeds(target.name).into_iter().enumerate() {
                    (target.run)(seed.get(..seed.len() / 2).unwrap());
                    let at = 1 + n * 31 % (seed.len() - 1).max(1);
                    if let Some(byte) = seed.get_mut(at) {
                        *byte ^= 1 << (n % 8);
                    }
                    (target.run)(&seed);
                }
            });
        }
    });
}

#[test]
fn every_program_has_its_target_and_every_corpus_too() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let (_, programs) = manifest.split_once("[[bin]]").unwrap();
    let programs: Vec<&str> = programs
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    let targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(programs, targets);
    assert_eq!(targets.iter().collect::<BTreeSet<_>>().len(), targets.len());
    for folder in ["corpus", "findings"] {
        for file in fs::read_dir(fuzz.join(folder)).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_stem().unwrap().to_str().unwrap();
            assert_eq!(seeds::corpus(named(name).name).file_name(), file.file_name());
            let inputs = seeds::kept(&file);
            assert!(!inputs.is_empty(), "{name}");
            assert!(inputs.iter().all(|input| input.len() <= MAX_BYTES), "{name}");
        }
    }
}

#[test]
fn every_dialect_has_its_targets() {
    let named = |name: String| TARGETS.iter().any(|target| target.name == name);
    for dialect in Dialect::ALL {
        let name = dialect.name();
        assert_eq!(surface(dialect).is_some(), named(format!("{name}_ask")), "{name}");
        assert_eq!(upstream(dialect).is_some(), named(format!("{name}_answer")), "{name}");
    }
}

#[test]
fn inputs_survive_as_text() {
    let all: Vec<u8> = (0..=255).collect();
    let inputs: [&[u8]; 3] = [&all, b"data: {\"a\":\"\\n\"}\n\n", b""];
    let text = pack(inputs.into_iter());
    assert_eq!(text.lines().count(), 3);
    assert_eq!(unpack(&text), inputs);
}

#[test]
fn a_dictionary_quotes_what_is_said_more_than_once() {
    let seeds = [br#"{"model":"one","a b":1}"#.to_vec(), br#"{"model":"two"}"#.to_vec()];
    let words = seeds::words(&seeds);
    assert!(words.contains("\"\\\"model\\\"\"\n"), "{words}");
    assert!(!words.contains("one") && !words.contains("a b"), "{words}");
}
