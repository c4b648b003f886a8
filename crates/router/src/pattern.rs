//! Wildcard model names, matched as LiteLLM matches them.

/// LiteLLM turns a name into a regular expression: escaped, each `\*` replaced by `(.*)`, between
/// `^` and `$`. These are the characters that Python's `re.escape` puts a backslash before.
const ESCAPED: &str = "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}";
/// What LiteLLM counts as complexity in the expression.
const COMPLEX: &str = "*+?\\^$|()";

/// A name with `*` in it; each stands for any run of characters but line ends.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// The literal text before, between and after the stars.
    literals: Vec<Box<str>>,
    rank: (usize, usize),
}

impl Pattern {
    pub(crate) fn new(name: &str) -> Self {
        Pattern { literals: name.split('*').map(Into::into).collect(), rank: rank(name) }
    }

    /// Length and complexity of the expression; the pattern of the highest rank is tried first.
    pub(crate) fn rank(&self) -> (usize, usize) {
        self.rank
    }

    /// What each star stands for, left to right, if the whole of `model` matches. As with greedy
    /// `(.*)`, an earlier star takes as much as it can.
    pub(crate) fn captures<'a>(&self, model: &'a str) -> Option<Vec<&'a str>> {
        let (first, rest) = self.literals.split_first()?;
        let (last, between) = rest.split_last()?;
        let mut left = model.strip_prefix(&**first)?.strip_suffix(&**last)?;
        let mut captures = Vec::with_capacity(rest.len());
        for literal in between.iter().rev() {
            let at = left.rfind(&**literal)?;
            captures.push(left.get(at + literal.len()..)?);
            left = left.get(..at)?;
        }
        captures.push(left);
        captures.reverse();
        (!captures.iter().any(|part| part.contains('\n'))).then_some(captures)
    }
}

/// Puts the captures into the stars of `target`, left to right; all of `model` where there are
/// more captures than stars.
pub(crate) fn fill(target: &str, captures: &[&str], model: &str) -> String {
    let stars = target.matches('*').count();
    if stars == 0 {
        return target.to_owned();
    }
    if captures.len() > stars {
        return model.to_owned();
    }
    let mut captures = captures.iter();
    let mut filled = String::with_capacity(target.len() + model.len());
    for (at, literal) in target.split('*').enumerate() {
        if at > 0 {
            filled.push_str(captures.next().unwrap_or(&"*"));
        }
        filled.push_str(literal);
    }
    filled
}

fn rank(name: &str) -> (usize, usize) {
    let (mut length, mut complexity) = (2, 2);
    for c in name.chars() {
        if c == '*' {
            length += 4;
            complexity += 3;
        } else if ESCAPED.contains(c) {
            length += 2;
            complexity += 1 + usize::from(COMPLEX.contains(c));
        } else {
            length += 1;
        }
    }
    (length, complexity)
}
