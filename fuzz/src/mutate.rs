//! Changes JSON as JSON, wherever it stands in the input: most changes of single bytes leave
//! something that no parser reads any further. Every other change is libFuzzer's own.

use std::ops::Range;

use libfuzzer_sys::fuzzer_mutate;

/// What a value may become.
const LITERALS: [&[u8]; 20] = [
    b"null",
    b"true",
    b"false",
    b"0",
    b"1",
    b"-1",
    b"0.5",
    b"1e999",
    b"4294967295",
    b"4294967296",
    b"18446744073709551615",
    b"\"\"",
    b"\"x\"",
    b"\"\\ud800\"",
    b"\"\\u0000\"",
    b"\"{\\\"a\\\":1}\"",
    b"[]",
    b"{}",
    b"[[]]",
    b"{\"\":{}}",
];

/// A new input in place of the old one; its length.
pub fn mutate(bytes: &mut [u8], size: usize, max: usize, seed: u32) -> usize {
    let mut dice = Dice(u64::from(seed) | 1 << 32);
    if dice.below(2) == 0 {
        return fuzzer_mutate(bytes, size, max);
    }
    let changed = change(&bytes[..size], &mut dice);
    match changed {
        Some(changed) if changed.len() <= max => {
            bytes[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        _ => fuzzer_mutate(bytes, size, max),
    }
}

/// xorshift64*
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % end
    }
}

fn change(input: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    if dice.below(6) == 0 {
        return lines(input, dice);
    }
    let found = scan(input);
    if found.values.is_empty() {
        return None;
    }
    let value = found.values[dice.below(found.values.len())].clone();
    let other = found.values[dice.below(found.values.len())].clone();
    Some(match dice.below(6) {
        0 | 1 => splice(input, value, &[&input[other]]),
        2 => splice(input, value, &[LITERALS[dice.below(LITERALS.len())]]),
        3 => splice(input, value.clone(), &[b"[", &input[value], b"]"]),
        4 if found.members.len() > 1 => {
            // A member once more, beside another one.
            let member = found.members[dice.below(found.members.len())].clone();
            let beside = found.members[dice.below(found.members.len())].start;
            splice(input, beside..beside, &[&input[member], b","])
        }
        _ if !found.members.is_empty() => {
            let member = found.members[dice.below(found.members.len())].clone();
            let comma = input[member.end..].first() == Some(&b',');
            splice(input, member.start..member.end + usize::from(comma), &[])
        }
        _ => return None,
    })
}

/// An event or a line twice, not at all, or at another one's place.
fn lines(input: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let blank = input.windows(2).any(|pair| pair == b"\n\n");
    let end: &[u8] = if blank { b"\n\n" } else { b"\n" };
    let mut starts = vec![0];
    let ends = input.windows(end.len()).enumerate().filter(|(_, window)| *window == end);
    starts.extend(ends.map(|(at, _)| at + end.len()));
    starts.push(input.len());
    starts.dedup();
    let n = starts.len() - 1;
    if n < 2 {
        return None;
    }
    let line = |at: usize| starts[at]..starts[at + 1];
    let (a, b) = (dice.below(n), dice.below(n));
    Some(match dice.below(3) {
        0 => splice(input, line(a), &[]),
        1 => splice(input, line(a), &[&input[line(b)]]),
        _ => splice(input, starts[a]..starts[a], &[&input[line(b)]]),
    })
}

fn splice(input: &[u8], at: Range<usize>, with: &[&[u8]]) -> Vec<u8> {
    [&input[..at.start], &with.concat(), &input[at.end..]].concat()
}

#[derive(Default)]
struct Found {
    values: Vec<Range<usize>>,
    /// `"name": value`
    members: Vec<Range<usize>>,
}

/// Whatever looks like JSON, well-formed or not.
fn scan(input: &[u8]) -> Found {
    let mut found = Found::default();
    // Of each open container where it begins, and where its member does.
    let mut open: Vec<(usize, Option<usize>)> = Vec::new();
    let mut name: Option<usize> = None;
    let mut at = 0;
    while at < input.len() {
        let start = at;
        at += 1;
        let value = match input[start] {
            b'"' => {
                while at < input.len() && input[at] != b'"' {
                    at += if input[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(input.len());
                let after = input[at..].iter().position(|byte| !byte.is_ascii_whitespace());
                if after.is_some_and(|after| input[at + after] == b':') {
                    name = Some(start);
                    continue;
                }
                start
            }
            b'{' | b'[' => {
                open.push((start, name.take()));
                continue;
            }
            b'}' | b']' => match open.pop() {
                Some((start, of)) => {
                    name = of;
                    start
                }
                None => continue,
            },
            b'-' | b'0'..=b'9' | b'a'..=b'z' if !open.is_empty() => {
                let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                at += input[at..].iter().take_while(|byte| part(byte)).count();
                start
            }
            _ => continue,
        };
        found.values.push(value..at);
        if let Some(name) = name.take() {
            found.members.push(name..at);
        }
    }
    found
}
