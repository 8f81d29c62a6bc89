//! JSON from strangers: one meaning or none. Members that come twice, a byte-order mark, numbers that are none, deep
//! nesting and anything after the end are refused (RFC 8725 section 2.6, rfc8725bis).

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Objects and arrays inside one another.
const DEPTH: u8 = 32;

/// The members of one object; None when the text is anything else.
pub fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict(DEPTH).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Reads one value; holds how much deeper it may go.
struct Strict(u8);

impl Strict {
    fn inner<E: Error>(&self) -> Result<u8, E> {
        self.0.checked_sub(1).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict(inner))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict(inner))?;
            // RFC 7515 section 4 and RFC 7519 section 4: names are unique; of the two ways, refusing is the safe one.
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_meaning_or_none() {
        let deep = |n: usize| format!("{}{}", "{\"a\":".repeat(n - 1) + "{}", "}".repeat(n - 1));
        let fine = ["{}", " {\"a\":[1,-2,3.5,true,null,\"x\"]} ", "{\"a\":{\"a\":1}}", "{\"exp\":9223372036854775808}"];
        assert!(fine.iter().all(|t| object(t.as_bytes()).is_some()) && object(deep(32).as_bytes()).is_some());
        let twice = "{\"a\":1,\"\\u0061\":1}";
        let bad = [
            "",
            "null",
            "[]",
            "1",
            "\"x\"",
            "{\"a\":1,\"a\":1}",
            "{\"a\":{\"b\":1,\"b\":2}}",
            "[{\"b\":1,\"b\":2}]",
            twice,
            "\u{feff}{}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":1e400}",
            "{\"a\":01}",
            "{} x",
            "{}{}",
            "{\"a\":\"\\ud800\"}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":\"\n\"}",
            "{/**/}",
        ];
        for text in bad {
            assert!(object(text.as_bytes()).is_none(), "{text}");
        }
        for depth in [33, 1000, 100_000] {
            assert!(object(deep(depth).as_bytes()).is_none());
            assert!(object(format!("{{\"a\":{}", "[".repeat(depth)).as_bytes()).is_none());
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_none());
    }
}
