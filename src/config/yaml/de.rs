//! From YAML text to nodes, and from nodes to typed values.

use super::{Entry, Kind, Node, Origin, Position, Scalar};
use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize, IntoDeserializer, Visitor};
use serde_saphyr::{Location, Spanned};

/// What YAML itself says; becomes [`Node`] once positions and source text are joined to it.
enum Raw {
    Null,
    Scalar(Scalar, Option<String>),
    Sequence(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any YAML value")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Bool(value), None))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Signed(value), None))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Unsigned(value), None))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Float(value), None))
    }
    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Text, Some(value.to_owned())))
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::Sequence(items))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

/// The tree of a document; an empty document is an empty map.
pub(super) fn tree(text: &str) -> Result<Node, (Position, String)> {
    let raw: Spanned<Raw> = serde_saphyr::from_str(text).map_err(|error| {
        let position =
            error.location().map_or(Position { line: 1, column: 1, origin: Origin::Own }, position);
        let message = error.without_snippet().to_string();
        // The parser ends some messages with the position that we print in front.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        (
            position,
            format!("is not readable YAML: {message}; correct it here or in the lines above"),
        )
    })?;
    let mut builder = Builder { text, next_id: 0 };
    let mut root = builder.node(raw);
    if matches!(root.kind, Kind::Null) {
        root.kind = Kind::Map(Vec::new());
    }
    Ok(root)
}

fn position(location: Location) -> Position {
    Position { line: location.line().max(1), column: location.column().max(1), origin: Origin::Own }
}

struct Builder<'a> {
    text: &'a str,
    next_id: usize,
}

impl Builder<'_> {
    fn id(&mut self) -> usize {
        self.next_id += 1;
        self.next_id
    }

    // Depth is bounded: serde-saphyr's budget refuses deep nesting before this runs.
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let id = self.id();
        let kind = match raw.value {
            Raw::Null => Kind::Null,
            Raw::Scalar(scalar, Some(text)) => Kind::Scalar(scalar, text),
            Raw::Scalar(scalar, None) => {
                let text = self.source(&raw.defined).unwrap_or_else(|| scalar.to_string());
                Kind::Scalar(scalar, text)
            }
            Raw::Sequence(items) => {
                Kind::Sequence(items.into_iter().map(|item| self.node(item)).collect())
            }
            Raw::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key_id: self.id(),
                        key_position: position(key.referenced),
                        key: key.value,
                        value: self.node(value),
                    })
                    .collect(),
            ),
        };
        Node { id, position: position(raw.referenced), kind }
    }

    /// The scalar as written: an identifier `0012` must not become the number 12.
    fn source(&self, location: &Location) -> Option<String> {
        let span = location.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        self.text.get(start..start.checked_add(length)?).map(|text| text.trim().to_owned())
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Signed(value) => write!(f, "{value}"),
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text => Ok(()),
        }
    }
}

/// A fault while a typed value is read.
#[derive(Debug)]
pub(super) struct ReadError {
    pub(super) message: String,
    /// The node (or key) that is at fault; the innermost that is known.
    pub(super) at: Option<(usize, Position)>,
    /// The key that is missing in that node.
    pub(super) missing: Option<&'static str>,
}

impl ReadError {
    fn new(message: String) -> Self {
        Self { message, at: None, missing: None }
    }
    fn at(mut self, id: usize, position: Position) -> Self {
        self.at.get_or_insert((id, position));
        self
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

/// Rust's names of types as a writer of YAML knows them.
fn plain(expected: &str) -> String {
    let words = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "text",
        "a sequence" => "a list",
        "a map" => "keys with values",
        other if other.starts_with("struct ") => "keys with values",
        other => other,
    };
    words.to_owned()
}

fn found(unexpected: &de::Unexpected<'_>) -> String {
    match unexpected {
        de::Unexpected::Str(text) => format!("the text `{text}`"),
        de::Unexpected::Bool(value) => format!("`{value}`"),
        de::Unexpected::Unsigned(value) => format!("`{value}`"),
        de::Unexpected::Signed(value) => format!("`{value}`"),
        de::Unexpected::Float(value) => format!("`{value}`"),
        de::Unexpected::Unit | de::Unexpected::Option => "nothing".into(),
        de::Unexpected::Seq => "a list".into(),
        de::Unexpected::Map => "keys with values".into(),
        other => other.to_string(),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl de::Error for ReadError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = plain(&expected.to_string());
        Self::new(format!("{} stands here; write {expected}", found(&unexpected)))
    }
    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("`{variant}` is not known here; write one of {}", list(expected)))
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        if expected.is_empty() {
            return Self::new(format!("unknown key `{field}`; take it out, none belongs here"));
        }
        Self::new(format!("unknown key `{field}`; known here are {}", list(expected)))
    }
    fn missing_field(field: &'static str) -> Self {
        let message = format!("the key `{field}` is missing; add it");
        Self { message, at: None, missing: Some(field) }
    }
    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("the key `{field}` stands twice; keep one"))
    }
}

/// Reads typed values from a node.
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'a>(pub(super) &'a Node);

impl<'a> NodeDeserializer<'a> {
    fn mark<T>(self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.map_err(|error| error.at(self.0.id, self.0.position))
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Scalar(Scalar::Bool(value), _) => visitor.visit_bool(*value),
            Kind::Scalar(Scalar::Signed(value), _) => visitor.visit_i64(*value),
            Kind::Scalar(Scalar::Unsigned(value), _) => visitor.visit_u64(*value),
            Kind::Scalar(Scalar::Float(value), _) => visitor.visit_f64(*value),
            Kind::Scalar(Scalar::Text, text) => visitor.visit_str(text),
            Kind::Sequence(items) => visitor.visit_seq(Items(items.iter())),
            Kind::Map(entries) => visitor.visit_map(Entries { left: entries.iter(), value: None }),
        }
    }
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.mark(self.any(visitor))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.mark(match &self.0.kind {
            Kind::Scalar(_, text) => visitor.visit_str(text),
            _ => self.any(visitor),
        })
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.mark(match self.0.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        })
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.mark(visitor.visit_newtype_struct(self))
    }
    // A section whose keys are all commented out is an empty section.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.mark(match self.0.kind {
            Kind::Null => visitor.visit_seq(Items([].iter())),
            _ => self.any(visitor),
        })
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.mark(match self.0.kind {
            Kind::Null => visitor.visit_map(Entries { left: [].iter(), value: None }),
            // serde would also take a list for a struct, by the order of its fields.
            Kind::Sequence(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &visitor)),
            _ => self.any(visitor),
        })
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        // Who lays a bare value over a constant is its source.
        let over = self.0.position.origin == Origin::Over;
        if name == "Sourced" && over && self.0.child(&"value".into()).is_none() {
            return self.mark(visitor.visit_map(Stated { node: self.0, next: 0 }));
        }
        self.deserialize_map(visitor)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.mark(match &self.0.kind {
            Kind::Scalar(_, text) => {
                let name: StrDeserializer<'_, ReadError> = text.as_str().into_deserializer();
                visitor.visit_enum(name)
            }
            _ => self.any(visitor),
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct identifier ignored_any
    }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = ReadError;
    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some(node) = self.0.next() else { return Ok(None) };
        NodeDeserializer(node).mark(seed.deserialize(NodeDeserializer(node))).map(Some)
    }
}

struct Entries<'a> {
    left: std::slice::Iter<'a, Entry>,
    value: Option<&'a Node>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = ReadError;
    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let Some(entry) = self.left.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        let key: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(entry.key_id, entry.key_position))
    }
    fn next_value_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, ReadError> {
        let node = self.value.take().expect("serde asks for a value only after its key");
        NodeDeserializer(node).mark(seed.deserialize(NodeDeserializer(node)))
    }
}

/// A bare value as `{ value, provenance: site, source }`.
struct Stated<'a> {
    node: &'a Node,
    next: usize,
}

impl Stated<'_> {
    const KEYS: [&'static str; 3] = ["value", "provenance", "source"];
}

impl<'de> de::MapAccess<'de> for Stated<'_> {
    type Error = ReadError;
    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let Some(&key) = Self::KEYS.get(self.next) else { return Ok(None) };
        self.next += 1;
        let key: StrDeserializer<'_, ReadError> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }
    fn next_value_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, ReadError> {
        let text = match self.next {
            1 => return seed.deserialize(NodeDeserializer(self.node)),
            2 => "site",
            _ => "settings of the plan",
        };
        let text: StrDeserializer<'_, ReadError> = text.into_deserializer();
        seed.deserialize(text)
    }
}
