//! Percent-encoding in the form of COS (RFC 3986 section 2). The emulator has its own, to share no mistake with the client.

/// The decoded name and value of a query parameter.
pub(super) type Parameter = (Vec<u8>, Vec<u8>);

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

/// Appends `bytes` to `out`, with every byte outside the unreserved set as `%XX` in upper case.
pub(super) fn encode_into(out: &mut String, bytes: &[u8]) {
    encode_but(out, bytes, |_| false);
}

/// Like [`encode_into`], but does not encode slashes. This is the form of `encoding-type=url` and of paths.
pub(super) fn encode_path_into(out: &mut String, bytes: &[u8]) {
    encode_but(out, bytes, |byte| byte == b'/');
}

/// Appends `bytes`, with every byte encoded that is neither unreserved nor accepted by `stays`. Runs of bytes that are not
/// encoded are copied at once, since a page has a thousand keys.
fn encode_but(out: &mut String, bytes: &[u8], stays: impl Fn(u8) -> bool) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    let mut rest = bytes;
    while !rest.is_empty() {
        let escaped = rest.iter().position(|byte| !is_unreserved(*byte) && !stays(*byte));
        let (run, tail) = rest.split_at(escaped.unwrap_or(rest.len()));
        // Bytes that are not encoded are ASCII.
        out.push_str(std::str::from_utf8(run).unwrap_or_default());
        let Some((&byte, tail)) = tail.split_first() else { return };
        out.push('%');
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
        rest = tail;
    }
}

/// Decodes `%XX`. A `%` without two hexadecimal digits stays as it is. If `plus_is_space` is set, a `+` is a space, as in
/// the queries of HTML forms.
pub(super) fn decode(text: &[u8], plus_is_space: bool) -> Vec<u8> {
    let plain = text.iter().position(|byte| matches!(byte, b'%' | b'+')).unwrap_or(text.len());
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text[..plain]);
    let mut rest = &text[plain..];
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            (b'+', _) if plus_is_space => out.push(b' '),
            _ => out.push(byte),
        }
    }
    out
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Returns the parameters of a query string in their order. A parameter without `=` has an empty value.
pub(super) fn parse_query(query: &str) -> Vec<Parameter> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name.as_bytes(), true), decode(value.as_bytes(), true))
        })
        .collect()
}

/// Returns the value of the first parameter with this name; `None` if there is none.
pub(super) fn find<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a [u8]> {
    parameters.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_reverses_encoding_for_every_byte() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        encode_into(&mut text, &all);
        assert!(text.contains("%2F") && text.contains("%20") && text.contains("-.%2F0123456789"));
        assert_eq!(decode(text.as_bytes(), true), all);
        assert_eq!(decode(b"%4", false), b"%4");
        assert_eq!(decode(b"%zz+", false), b"%zz+");
    }

    #[test]
    fn a_query_has_parameters_without_values_and_plus_signs_for_spaces() {
        let parameters = parse_query("versions&prefix=a+b%2Bc&&x=");
        assert_eq!(find(&parameters, "versions"), Some(&b""[..]));
        assert_eq!(find(&parameters, "prefix"), Some(&b"a b+c"[..]));
        assert_eq!(parameters.len(), 3);
    }
}
