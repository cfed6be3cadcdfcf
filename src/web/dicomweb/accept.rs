//! What a client accepts (RFC 9110 12.5.1 with the parameters of PS3.18 8.7.3): a list of media
//! ranges, the best liked first.

use axum::http::{HeaderMap, header};

/// Most ranges that are looked at.
const RANGES_MAX: usize = 64;

/// One range of an Accept header, lower case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    /// `multipart/related`, `application/dicom`, `*/*`.
    pub(super) media: String,
    /// The `type` parameter of `multipart/related`.
    pub(super) part: Option<String>,
    pub(super) transfer_syntax: Option<String>,
    quality: f32,
}

impl Range {
    pub(super) fn is_multipart(&self) -> bool {
        self.media == "multipart/related"
    }

    /// What one part is to be: of the multipart, or of the answer itself.
    pub(super) fn content(&self) -> &str {
        match &self.part {
            Some(part) if self.is_multipart() => part,
            _ if self.is_multipart() => "*/*",
            _ => &self.media,
        }
    }

    /// Does the content's media type suit?
    pub(super) fn suits(&self, media: &str) -> bool {
        let content = self.content();
        let family = |text: &str| text.split('/').next().unwrap_or_default().to_owned();
        content == media
            || content == "*/*"
            || content.strip_suffix("/*").is_some_and(|wanted| wanted == family(media))
    }

    /// Does it leave the transfer syntax to us?
    pub(super) fn any_syntax(&self) -> bool {
        self.transfer_syntax.as_deref() == Some("*")
    }
}

/// The ranges of the request; `*/*` where it names none.
pub(super) fn ranges(headers: &HeaderMap, query: Option<&str>) -> Vec<Range> {
    let texts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut found: Vec<Range> = match query {
        // PS3.18 8.3.3.1: the query parameter goes before the header.
        Some(query) => parse(query),
        None => texts.flat_map(parse).take(RANGES_MAX).collect(),
    };
    if found.is_empty() {
        found = parse("*/*");
    }
    found.retain(|range| range.quality > 0.0);
    found.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    found
}

fn parse(text: &str) -> Vec<Range> {
    split(text, ',').into_iter().take(RANGES_MAX).filter_map(|range| parse_range(&range)).collect()
}

fn parse_range(text: &str) -> Option<Range> {
    let mut pieces = split(text, ';').into_iter();
    let media = pieces.next()?.trim().to_ascii_lowercase();
    if !media.contains('/') {
        return None;
    }
    let mut range = Range { media, part: None, transfer_syntax: None, quality: 1.0 };
    for piece in pieces {
        let Some((name, value)) = piece.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        match name.trim().to_ascii_lowercase().as_str() {
            "type" => range.part = Some(value),
            "transfer-syntax" => range.transfer_syntax = Some(value),
            "q" => range.quality = value.parse().unwrap_or(1.0),
            _ => {}
        }
    }
    Some(range)
}

/// Splits outside of quotes.
fn split(text: &str, at: char) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        match pieces.last_mut() {
            Some(last) if c != at || quoted => last.push(c),
            _ => pieces.push(String::new()),
        }
    }
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Range> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().unwrap());
        ranges(&headers, None)
    }

    #[test]
    fn ranges_come_in_the_order_of_liking_with_quotes_respected() {
        let found =
            of("multipart/related; type=\"application/octet-stream\"; transfer-syntax=*;q=0.5, \
             Multipart/Related;type=image/jls, text/html;q=0");
        assert_eq!(found.len(), 2);
        assert!(found[0].suits("image/jls") && !found[0].suits("application/octet-stream"));
        assert!(found[1].suits("application/octet-stream") && found[1].any_syntax());
    }

    #[test]
    fn no_accept_header_takes_anything() {
        let any = ranges(&HeaderMap::new(), None);
        assert!(any[0].suits("image/png") && !any[0].is_multipart() && !any[0].any_syntax());
        assert!(of("image/*")[0].suits("image/png"));
        assert!(!of("image/*")[0].suits("application/dicom"));
        assert!(of("nonsense, \"un,closed").iter().all(|range| range.media == "*/*"));
    }
}
