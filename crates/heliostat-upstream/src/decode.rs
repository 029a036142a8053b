//! Content encodings. Decompresses whole bodies with a limit on what comes out, so that a small answer cannot fill
//! the memory. Pure; the HTTP client's own decoding is switched off, because it hides what was sent.

use std::io::{self, Read};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// What we ask for on pages and lists.
pub(crate) const ACCEPTED: &str = "gzip, zstd";

/// RFC 9659: a decoder of the `zstd` content coding need not hold a window above 8 MB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// Why a body cannot be decompressed.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// More comes out than allowed.
    TooLarge,
    /// The compressed stream is damaged or cut short.
    Damaged(io::Error),
}

impl Encoding {
    /// The encoding of an answer; the raw header value where we do not know it.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Vec<u8>> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let value = values
            .next()
            .map(http::HeaderValue::as_bytes)
            .unwrap_or_default();
        if values.next().is_some() {
            return Err(b"several".to_vec());
        }
        match value.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"zstd" => Ok(Self::Zstd),
            _ => Err(value.to_vec()),
        }
    }

    /// The plain body, at most `limit_bytes` long.
    pub(crate) fn decode(self, body: Bytes, limit_bytes: u64) -> Result<Bytes, DecodeError> {
        match self {
            Self::Identity if body.len() as u64 > limit_bytes => Err(DecodeError::TooLarge),
            Self::Identity => Ok(body),
            Self::Gzip => read_all(
                flate2::read::MultiGzDecoder::new(&*body),
                body.len(),
                limit_bytes,
            ),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(&*body)
                    .map_err(DecodeError::Damaged)?;
                decoder
                    .window_log_max(ZSTD_WINDOW_LOG_MAX)
                    .map_err(DecodeError::Damaged)?;
                read_all(decoder, body.len(), limit_bytes)
            }
        }
    }
}

fn read_all(
    source: impl Read,
    encoded_bytes: usize,
    limit_bytes: u64,
) -> Result<Bytes, DecodeError> {
    let mut plain = Vec::with_capacity(encoded_bytes);
    source
        .take(limit_bytes.saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(DecodeError::Damaged)?;
    if plain.len() as u64 > limit_bytes {
        return Err(DecodeError::TooLarge);
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn decodes_what_was_encoded_up_to_the_limit() {
        let text = b"heliostat ".repeat(1_000);
        for (encoding, body) in [
            (Encoding::Identity, Bytes::from(text.clone())),
            (Encoding::Gzip, gzip(&text)),
            (Encoding::Zstd, zstd::encode_all(&*text, 3).unwrap().into()),
        ] {
            assert_eq!(
                encoding.decode(body.clone(), 10_000).unwrap(),
                text,
                "{encoding:?}"
            );
            assert!(
                matches!(encoding.decode(body, 9_999), Err(DecodeError::TooLarge)),
                "{encoding:?}"
            );
        }
    }

    #[test]
    fn a_cut_stream_is_damaged() {
        let text = b"heliostat ".repeat(1_000);
        for (encoding, body) in [
            (Encoding::Gzip, gzip(&text)),
            (Encoding::Zstd, zstd::encode_all(&*text, 3).unwrap().into()),
        ] {
            let cut = body.slice(..body.len() - 5);
            assert!(
                matches!(encoding.decode(cut, 10_000), Err(DecodeError::Damaged(_))),
                "{encoding:?}"
            );
            let noise = Bytes::from_static(b"<html>not compressed at all</html>");
            assert!(
                matches!(encoding.decode(noise, 10_000), Err(DecodeError::Damaged(_))),
                "{encoding:?}"
            );
        }
    }

    #[test]
    fn knows_what_it_does_not_know() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, http::HeaderValue::from_static(value));
            }
            Encoding::of(&headers)
        };
        assert_eq!(of(&[]), Ok(Encoding::Identity));
        assert_eq!(of(&["Identity"]), Ok(Encoding::Identity));
        assert_eq!(of(&["x-gzip"]), Ok(Encoding::Gzip));
        assert_eq!(of(&[" ZSTD "]), Ok(Encoding::Zstd));
        assert_eq!(of(&["br"]), Err(b"br".to_vec()));
        assert_eq!(of(&["gzip, gzip"]), Err(b"gzip, gzip".to_vec()));
        assert_eq!(of(&["gzip", "gzip"]), Err(b"several".to_vec()));
    }
}
