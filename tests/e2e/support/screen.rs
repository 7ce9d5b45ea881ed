//! A model of a terminal: what a person sees after a program has written to it.

/// The lines of a terminal, as far as the program uses it: it writes, moves the cursor up and erases.
pub(crate) struct Screen {
    columns: usize,
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    pub(crate) fn new(columns: usize) -> Self {
        Self { columns, lines: vec![Vec::new()], row: 0, column: 0 }
    }

    /// Shows what was written. After each line end, `look` sees all lines.
    #[track_caller]
    pub(crate) fn show(&mut self, written: &str, mut look: impl FnMut(&[String])) {
        let mut rest = written.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => {
                    self.down();
                    look(&self.lines());
                }
                '\u{1b}' => {
                    assert_eq!(rest.next(), Some('['), "an escape that the model does not know");
                    let mut number = String::new();
                    let last = rest.by_ref().find(|c| {
                        number.push(*c);
                        c.is_ascii_alphabetic()
                    });
                    number.pop();
                    self.control(last, number.parse().unwrap_or(1));
                }
                '\u{7}' => {}
                c => self.put(c),
            }
        }
    }

    /// The lines, without spaces at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = |line: &Vec<char>| line.iter().collect::<String>().trim_end().to_owned();
        self.lines.iter().map(text).collect()
    }

    fn down(&mut self) {
        self.row += 1;
        if self.row == self.lines.len() {
            self.lines.push(Vec::new());
        }
    }

    fn put(&mut self, c: char) {
        if self.column == self.columns {
            self.column = 0;
            self.down();
        }
        let line = &mut self.lines[self.row];
        line.resize(line.len().max(self.column + 1), ' ');
        line[self.column] = c;
        self.column += 1;
    }

    fn control(&mut self, what: Option<char>, number: usize) {
        match what {
            Some('A') => self.row = self.row.checked_sub(number).expect("above the first line"),
            Some('K') => self.lines[self.row].truncate(self.column),
            Some('J') => {
                self.lines[self.row].truncate(self.column);
                self.lines.truncate(self.row + 1);
            }
            // Colours.
            Some('m') => {}
            other => panic!("the model does not know {other:?}"),
        }
    }
}
