//! Words of commands as a person pastes them into a shell.

use std::fmt::Write as _;

use crate::visible::visible;

/// A word, quoted for a POSIX shell if necessary. A shell reads exactly the word again. Hidden characters are written as
/// octal escapes within `$'…'`, so that a person sees them and the command still means the same bytes.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let is_hidden = |c: char| visible(c.encode_utf8(&mut [0; 4])) != *c.encode_utf8(&mut [0; 4]);
    if !word.chars().any(is_hidden) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut quoted = "$'".to_owned();
    for c in word.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            c if is_hidden(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Three octal digits end an escape, whatever follows. Hexadecimal escapes have no fixed length.
                    let _ = write!(quoted, "\\{byte:03o}");
                }
            }
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// An option with its value, quoted for a shell. A value that begins with a minus sign is joined to its option, since it
/// would be read as another option otherwise.
pub fn option(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!("{name}{between}{}", quoted(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hidden_characters_are_shown_and_stay_the_same_bytes() {
        assert_eq!(quoted("a-1/x"), "a-1/x");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("می\u{200c}خواهم"), "$'می\\342\\200\\214خواهم'");
        assert_eq!(quoted("\u{1b}7\\'\n"), r"$'\0337\\\'\012'");
        assert_eq!(option("--prefix", "-x y/"), "--prefix='-x y/'");
        assert_eq!(option("--prefix", "a/"), "--prefix a/");
    }

    proptest! {
        #![proptest_config(crate::property::with_cases(64))]

        #[test]
        fn a_shell_reads_the_same_word(word in "[a'\"\\\\$`!*\\- 7\u{1}\u{1b}\n\t\u{200c}\u{200d}\u{202e}猫🐈]{0,12}") {
            let line = format!("printf %s {}", option("--x", &word));
            let read = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
            let told = if word.starts_with('-') { format!("--x={word}") } else { format!("--x{word}") };
            prop_assert_eq!(String::from_utf8(read.stdout).unwrap(), told, "{}", line);
        }
    }
}
