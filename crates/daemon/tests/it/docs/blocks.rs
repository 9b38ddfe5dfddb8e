//! The code blocks of a page.

/// Lines to paste, and what is said to come of them.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Block {
    /// Where it begins.
    pub(super) line: usize,
    pub(super) code: String,
    /// Lines that hold what its output holds.
    pub(super) expected: Vec<String>,
}

/// All blocks of a page. `sh` is to be pasted, `text` behind it is what it prints; a block of another kind would be run by
/// no test.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            assert!(!line.starts_with("    "), "line {}: write the block as ```sh: {line}", number + 1);
            continue;
        };
        let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
        match (kind, blocks.last_mut()) {
            ("sh", _) => {
                let code = inside.flat_map(|line| [line, "\n"]).collect();
                blocks.push(Block { line: number + 1, code, expected: Vec::new() });
            }
            ("text", Some(last)) => last.expected.extend(inside.map(str::to_owned)),
            _ => panic!("line {}: neither ```sh nor ```text behind one: {line}", number + 1),
        }
    }
    blocks
}

/// The ports that a text names behind a colon.
pub(super) fn ports(text: &str) -> impl Iterator<Item = u16> {
    text.split(':').skip(1).filter_map(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = rest.get(..digits)?.parse().ok()?;
        (number >= 1024).then_some(number)
    })
}

/// The text with each number that `instead` knows changed.
pub(super) fn renumbered(text: &str, instead: impl Fn(u16) -> Option<u16>) -> String {
    let mut changed = String::new();
    for run in text.chunk_by_digits() {
        match run.parse().ok().and_then(&instead) {
            Some(other) => changed.push_str(&other.to_string()),
            None => changed.push_str(run),
        }
    }
    changed
}

trait ChunkByDigits {
    fn chunk_by_digits(&self) -> impl Iterator<Item = &str>;
}

impl ChunkByDigits for str {
    fn chunk_by_digits(&self) -> impl Iterator<Item = &str> {
        self.as_bytes()
            .chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit())
            .map(|run| std::str::from_utf8(run).unwrap())
    }
}

#[test]
fn blocks_are_found_with_what_they_print() {
    let page =
        "One:\n\n```sh\ncurl x\n```\n\n```text\nthis\nthat\n```\n\n- a list\n  goes on\n\n```sh\na\nb\n```\n";
    let first = Block { line: 3, code: "curl x\n".into(), expected: vec!["this".into(), "that".into()] };
    assert_eq!(blocks(page), [first, Block { line: 15, code: "a\nb\n".into(), expected: vec![] }]);
}

#[test]
fn ports_change_wherever_they_stand() {
    let text = "bind 127.0.0.1:8080; server-template srv 1-10 127.0.0.1:1; python 8080 80801";
    assert_eq!(ports(text).collect::<Vec<_>>(), [8080]);
    let changed = renumbered(text, |port| (port == 8080).then_some(4));
    assert_eq!(changed, "bind 127.0.0.1:4; server-template srv 1-10 127.0.0.1:1; python 4 80801");
}
