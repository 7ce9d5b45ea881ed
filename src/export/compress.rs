//! Compression of an output, which the ending of its name asks for.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use flate2::write::GzEncoder;

/// How an output is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression that the name of a file asks for: `.gz` or `.zst` at its end.
    pub(super) fn of(target: &Path) -> Self {
        match target.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("gz") => Self::Gzip,
            Some(ending) if ending.eq_ignore_ascii_case("zst") => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// A stream that is compressed on its way to `W`. If it is dropped before [`Compressed::finish`], it writes nothing more,
/// so that a reader of `W` notices that the stream is incomplete.
pub(super) enum Compressed<W: Write> {
    Plain(W),
    Gzip(Gzip<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Compressed<W> {
    /// Begins a stream.
    ///
    /// # Errors
    /// There is not enough memory for the state of the compression.
    pub(super) fn begin(into: W, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(into),
            Compression::Gzip => {
                let open = Gate { into: Some(into) };
                Self::Gzip(Gzip(Some(GzEncoder::new(open, flate2::Compression::default()))))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(into, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Writes what is still in the state of the compression, and returns the underlying stream.
    ///
    /// # Errors
    /// The underlying stream cannot be written.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(into) => Ok(into),
            Self::Gzip(mut gzip) => {
                let encoder = gzip.0.take().ok_or_else(closed)?;
                encoder.finish()?.into.ok_or_else(closed)
            }
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Compressed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(into) => into.write(bytes),
            Self::Gzip(gzip) => gzip.0.as_mut().ok_or_else(closed)?.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Flushes an uncompressed stream. A compressed one is only flushed at its end, because a flush costs compression.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(into) => into.flush(),
            Self::Gzip(_) | Self::Zstd(_) => Ok(()),
        }
    }
}

impl<W: Write> fmt::Debug for Compressed<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

/// A gzip stream. It is `None` once it is finished.
pub(super) struct Gzip<W: Write>(Option<GzEncoder<Gate<W>>>);

impl<W: Write> Drop for Gzip<W> {
    fn drop(&mut self) {
        // The encoder ends its stream when it is dropped, and the stream would then look complete.
        if let Some(encoder) = &mut self.0 {
            encoder.get_mut().into = None;
        }
    }
}

/// Passes bytes on, or throws them away once it has no stream.
struct Gate<W> {
    into: Option<W>,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.into.as_mut().map_or(Ok(bytes.len()), |into| into.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.as_mut().map_or(Ok(()), Write::flush)
    }
}

fn closed() -> io::Error {
    io::Error::other("the stream has already ended")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_stream_that_is_dropped_does_not_look_complete() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut written = Vec::new();
            let mut stream = Compressed::begin(&mut written, compression).unwrap();
            for number in 0..100_000 {
                stream.write_all(format!("{}\n", number * 7919 % 10_007).as_bytes()).unwrap();
            }
            drop(stream);
            assert!(!written.is_empty());
            let mut text = String::new();
            let read = match compression {
                Compression::Gzip => {
                    flate2::read::GzDecoder::new(&written[..]).read_to_string(&mut text)
                }
                _ => zstd::Decoder::new(&written[..]).unwrap().read_to_string(&mut text),
            };
            assert!(read.is_err(), "{compression:?}");
        }
    }

    #[test]
    fn the_ending_of_a_name_chooses_the_compression() {
        for (name, compression) in [
            ("tags.csv", Compression::None),
            ("tags.csv.gz", Compression::Gzip),
            ("a/b.jsonl.ZST", Compression::Zstd),
            (".gz", Compression::None),
            ("gz", Compression::None),
            ("a.gz/tags", Compression::None),
        ] {
            assert_eq!(Compression::of(Path::new(name)), compression, "{name}");
        }
    }
}
