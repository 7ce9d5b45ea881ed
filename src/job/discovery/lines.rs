//! Reads the lines of a list one by one, with bounded memory: keys, URLs, or the column `url` of a CSV.

use std::io::{self, BufRead, Cursor, Read};

use crate::store::turn::LineFacts;

/// The longest line that is accepted, without its end, in bytes. COS allows keys of 850 bytes.
pub(super) const LINE_MAX: usize = 8 * 1024;

/// The number of bytes that are shown of a line that cannot be used.
const SHOWN: usize = 80;

/// The content of one line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A key or URL.
    Text(String),
    /// A key of a trusted inventory, with what the inventory says of it.
    Listed {
        /// The key.
        key: String,
        /// What the inventory says.
        facts: LineFacts,
    },
    /// A line that no request can carry.
    Faulty {
        /// The number of the line and its beginning, for messages.
        shown: String,
        /// Why no request can carry it.
        fault: &'static str,
    },
    /// In a list of URLs: a line that is not a URL.
    NotUrl {
        /// The number of the line, from 1.
        line: u64,
        /// The beginning of the line, for messages.
        shown: String,
    },
    /// In a list of URLs: a line that begins with `#`.
    Comment,
}

/// A line as it was read. It is cut if it is too long.
struct Raw {
    number: u64,
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Raw {
    fn shown(&self) -> String {
        let start = &self.bytes[..self.bytes.len().min(SHOWN)];
        let cut = if self.bytes.len() > SHOWN { "…" } else { "" };
        format!("{}{cut}", String::from_utf8_lossy(start))
    }

    /// Converts the line to a key, or to a URL that was checked to be one.
    fn item(self) -> Item {
        let faulty = |fault| Item::Faulty {
            shown: format!("line {}: {}", self.number, self.shown()),
            fault,
        };
        if self.is_too_long {
            return faulty("the line is longer than 8 KiB");
        }
        if std::str::from_utf8(&self.bytes).is_err() {
            return faulty("the line is not UTF-8, so it cannot name an object");
        }
        Item::Text(String::from_utf8(self.bytes).unwrap_or_default())
    }

    /// Converts a line of a list of URLs.
    fn url(self) -> Item {
        if self.bytes.starts_with(b"#") {
            return Item::Comment;
        }
        let has_scheme = |scheme: &str| {
            self.bytes
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
        };
        if has_scheme("http://") || has_scheme("https://") {
            self.item()
        } else {
            Item::NotUrl { line: self.number, shown: self.shown() }
        }
    }
}

/// Reads lines that end with `separator`. The last line may lack it. Empty lines are skipped.
struct Lines<R> {
    reader: R,
    separator: u8,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(reader: R, nul: bool, lines_before: u64) -> Self {
        Self { reader, separator: if nul { 0 } else { b'\n' }, number: lines_before }
    }

    fn read(&mut self) -> io::Result<Option<Raw>> {
        loop {
            let mut bytes = Vec::new();
            // Two more bytes for the end of the line. A line that is longer is too long.
            let most = LINE_MAX + 2;
            (&mut self.reader).take(most as u64).read_until(self.separator, &mut bytes)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            if bytes.last() == Some(&self.separator) {
                bytes.pop();
            } else if bytes.len() == most {
                self.pass_over_the_rest()?;
            }
            if self.separator == b'\n' && bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            if !bytes.is_empty() {
                let is_too_long = bytes.len() > LINE_MAX;
                return Ok(Some(Raw { number: self.number, bytes, is_too_long }));
            }
        }
    }

    /// Skips the rest of the line.
    fn pass_over_the_rest(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let end = buffer.iter().position(|byte| *byte == self.separator);
            let length = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(length);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// Reads keys, one a line without a trailing CR, or separated by NUL. Empty lines are skipped.
pub(super) fn keys<R: BufRead>(reader: R, nul: bool) -> impl Iterator<Item = io::Result<Item>> {
    let mut lines = Lines::new(reader, nul, 0);
    std::iter::from_fn(move || lines.read().map(|line| line.map(Raw::item)).transpose())
}

/// Reads URLs, one a line or separated by NUL, or the column `url` of a CSV. The list is a CSV if its first line that is not a
/// comment has a field of that name.
///
/// # Errors
/// The first lines cannot be read.
pub(super) fn urls<R: BufRead + Send + 'static>(
    mut reader: R,
    nul: bool,
) -> io::Result<Box<dyn Iterator<Item = io::Result<Item>> + Send>> {
    let mut before = Vec::new();
    let mut lines = 0;
    if !nul {
        // Comments and empty lines may come before the header.
        while matches!(reader.fill_buf()?.first(), Some(b'#' | b'\r' | b'\n')) {
            let is_comment = reader.fill_buf()?.first() == Some(&b'#');
            Lines::new(&mut reader, false, 0).pass_over_the_rest()?;
            lines += 1;
            before.extend(is_comment.then_some(Ok(Item::Comment)));
        }
    }
    let mut first = Vec::new();
    (&mut reader).take(LINE_MAX as u64).read_until(b'\n', &mut first)?;
    let column = if nul { None } else { column_of_urls(&first) };
    if let Some(column) = column {
        let mut records =
            Records { reader, csv: csv_core::Reader::new(), column, lines: lines + 1 };
        let records = std::iter::from_fn(move || records.next().transpose());
        return Ok(Box::new(before.into_iter().chain(records)));
    }
    let mut lines = Lines::new(Cursor::new(first).chain(reader), nul, lines);
    let urls = std::iter::from_fn(move || lines.read().map(|line| line.map(Raw::url)).transpose());
    Ok(Box::new(before.into_iter().chain(urls)))
}

/// Returns the index of the column `url` in the header of a CSV. `None` if there is none.
fn column_of_urls(header: &[u8]) -> Option<usize> {
    let mut header = csv::ReaderBuilder::new().has_headers(false).from_reader(header);
    let fields = header.byte_records().next()?.ok()?;
    fields.iter().position(|field| field.trim_ascii().eq_ignore_ascii_case(b"url"))
}

/// Reads one column of a CSV. The other columns are skipped, so they may be of any length.
struct Records<R> {
    reader: R,
    csv: csv_core::Reader,
    column: usize,
    /// The number of lines before the first record.
    lines: u64,
}

impl<R: BufRead> Records<R> {
    /// The column of the next record in which it is not empty. `None` at the end.
    fn next(&mut self) -> io::Result<Option<Item>> {
        loop {
            let Some(record) = self.read()? else { return Ok(None) };
            if record.bytes.is_empty() {
                continue;
            }
            return Ok(Some(record.url()));
        }
    }

    /// The column of the next record. `None` at the end.
    fn read(&mut self) -> io::Result<Option<Raw>> {
        let mut record = Raw { number: 0, bytes: Vec::new(), is_too_long: false };
        let mut column = 0;
        let mut is_comment = None;
        let mut output = [0; 4096];
        loop {
            let input = self.reader.fill_buf()?;
            let (result, read, written) = self.csv.read_field(input, &mut output);
            let part = &output[..written];
            let last = read.checked_sub(1).and_then(|last| input.get(last)).copied();
            if column == 0 && is_comment.is_none() && written > 0 {
                is_comment = Some(part[0] == b'#');
            }
            if column == self.column {
                let room = (LINE_MAX + 1 - record.bytes.len()).min(part.len());
                record.bytes.extend_from_slice(&part[..room]);
                record.is_too_long = record.bytes.len() > LINE_MAX;
            }
            self.reader.consume(read);
            match result {
                csv_core::ReadFieldResult::InputEmpty | csv_core::ReadFieldResult::OutputFull => {}
                csv_core::ReadFieldResult::Field { record_end } => {
                    column += 1;
                    if record.number == 0 {
                        let passed = u64::from(record_end && last == Some(b'\n'));
                        record.number = self.lines + self.csv.line() - passed;
                    }
                    if record_end {
                        if is_comment == Some(true) {
                            record.bytes = b"#".to_vec();
                            record.is_too_long = false;
                        }
                        return Ok(Some(record));
                    }
                }
                csv_core::ReadFieldResult::End => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        Item::Text(text.to_owned())
    }

    fn faulty(shown: &str, fault: &'static str) -> Item {
        Item::Faulty { shown: shown.to_owned(), fault }
    }

    fn keys_of(content: &[u8], nul: bool) -> Vec<Item> {
        keys(content, nul).map(Result::unwrap).collect()
    }

    fn urls_of(content: &[u8]) -> Vec<Item> {
        let urls = urls(Cursor::new(content.to_vec()), false).unwrap();
        urls.map(Result::unwrap).collect()
    }

    const NOT_UTF8: &str = "the line is not UTF-8, so it cannot name an object";
    const TOO_LONG: &str = "the line is longer than 8 KiB";

    #[test]
    fn a_key_is_the_exact_text_of_its_line() {
        assert_eq!(
            keys_of(b" a b \r\n\nc\r\r\n\xff\n# d\nlast", false),
            [
                item(" a b "),
                item("c\r"),
                faulty("line 4: \u{fffd}", NOT_UTF8),
                item("# d"),
                item("last")
            ]
        );
    }

    #[test]
    fn keys_separated_by_nul_may_contain_newlines() {
        assert_eq!(keys_of(b"a\nb\0c\r\0", true), [item("a\nb"), item("c\r")]);
    }

    #[test]
    fn a_line_of_8_kib_is_accepted_and_a_longer_one_is_a_fault_of_that_line_only() {
        for end in ["", "\n", "\r\n"] {
            let just = "a".repeat(LINE_MAX);
            let long = "b".repeat(LINE_MAX + 1);
            let longest = "c".repeat(5 * LINE_MAX);
            let text = format!("{just}\r\n{long}\n{longest}\r\nd\n{just}{end}");
            let found = keys_of(text.as_bytes(), false);
            let shown = |line, start: &str| format!("line {line}: {}…", start.repeat(80));
            let expected = [
                item(&just),
                faulty(&shown(2, "b"), TOO_LONG),
                faulty(&shown(3, "c"), TOO_LONG),
                item("d"),
                item(&just),
            ];
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn comments_are_skipped_and_other_text_is_named_by_its_line() {
        let found =
            urls_of(b"# from the shop\nhttp://e.com/url,1\r\n\nHTTPS://e.com/b\n#c\nwww.e.com/d\n");
        let not_url = Item::NotUrl { line: 6, shown: "www.e.com/d".to_owned() };
        assert_eq!(
            found,
            [
                Item::Comment,
                item("http://e.com/url,1"),
                item("HTTPS://e.com/b"),
                Item::Comment,
                not_url
            ]
        );
    }

    #[test]
    fn a_list_with_a_field_url_is_read_as_csv() {
        let found = urls_of(b"id,url\n1,\"http://e.com/a,b\"\n2,http://e.com/c\r\n3\n4,\n");
        assert_eq!(found, [item("http://e.com/a,b"), item("http://e.com/c")]);
        let found = urls_of(b"# shop\n\nname , URL\n\"a\nb\",http://e.com/1\n#x,y\nc,file:///d\n");
        let not_url = Item::NotUrl { line: 7, shown: "file:///d".to_owned() };
        assert_eq!(found, [Item::Comment, item("http://e.com/1"), Item::Comment, not_url]);
    }

    #[test]
    fn a_field_without_an_end_is_a_fault_of_its_line() {
        let long = "x".repeat(3 * LINE_MAX);
        let text = format!(
            "url,about\nhttp://e.com/a,\"{long}\"\n\"http://e.com/{long}\nhttp://e.com/b\n"
        );
        let found = urls_of(text.as_bytes());
        assert_eq!(found[0], item("http://e.com/a"));
        assert!(matches!(&found[1..], [Item::Faulty { fault: TOO_LONG, .. }]), "{found:?}");
    }
}
