//! How the generated structs are read: from an object and nothing else. serde's own derive also takes a list of the
//! members' values in the order of the struct, so that `["id", "why"]` would cancel a job. It does not check limits.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// A struct whose members are read one by one. `object!` makes it one.
pub(crate) trait Object: Default {
    /// The members' wire names.
    const MEMBERS: &'static [&'static str];

    /// Reads the value of the member with this place in `MEMBERS`.
    fn set<'de, A: MapAccess<'de>>(&mut self, member: usize, from: &mut A) -> Result<(), A::Error>;
}

/// Makes a struct an [`Object`] and lets serde read it: for each member its place, its field and its wire name.
macro_rules! object {
    ($name:ident { $($place:literal $field:ident $wire:literal,)* }) => {
        impl crate::object::Object for $name {
            const MEMBERS: &'static [&'static str] = &[$($wire),*];

            fn set<'de, A: serde::de::MapAccess<'de>>(&mut self, member: usize, from: &mut A) -> Result<(), A::Error> {
                match member {
                    $($place => self.$field = from.next_value()?,)*
                    _ => {
                        from.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                Ok(())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                crate::object::read(from)
            }
        }
    };
}
pub(crate) use object;

/// Reads an object. Members that the struct lacks are skipped, as AWS skips them; one that is there twice is an error.
pub(crate) fn read<'de, T: Object, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_map(Whole(PhantomData))
}

struct Whole<T>(PhantomData<T>);

impl<'de, T: Object> Visitor<'de> for Whole<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<T, A::Error> {
        // A bit for each member that was there.
        const { assert!(T::MEMBERS.len() <= 64) };
        let (mut value, mut seen) = (T::default(), 0u64);
        while let Some(found) = from.next_key_seed(Name(T::MEMBERS))? {
            let Some(member) = found else {
                from.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & (1 << member) != 0 {
                return Err(A::Error::duplicate_field(T::MEMBERS[member]));
            }
            seen |= 1 << member;
            value.set(member, &mut from)?;
        }
        Ok(value)
    }
}

/// Finds a name among the members.
struct Name(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|member| *member == name))
    }
}

#[cfg(test)]
mod tests {
    use crate::batch::{CancelJobRequest, KeyValuePair, SubmitJobRequest};

    fn why_not<'a, T: serde::Deserialize<'a> + std::fmt::Debug>(json: &'a str) -> String {
        serde_json::from_str::<T>(json).expect_err(json).to_string()
    }

    #[test]
    fn only_an_object_is_read() {
        let whole = CancelJobRequest { job_id: Some("a".to_owned()), reason: Some("b".to_owned()) };
        let read = serde_json::from_str(r#"{"reason":"b","noSuch":[{"x":1}],"jobId":"a"}"#);
        assert_eq!(read.map_err(|error| error.to_string()), Ok(whole));
        for other in [r#"["a","b"]"#, "[]", r#""a""#, "1", "null", "true"] {
            assert!(why_not::<CancelJobRequest>(other).contains("expected an object"), "{other}");
        }
    }

    #[test]
    fn parts_are_objects_too() {
        let text = why_not::<SubmitJobRequest>(r#"{"containerOverrides":{"environment":[["A","1"]]}}"#);
        assert!(text.contains("expected an object"), "{text}");
    }

    #[test]
    fn null_is_absent_and_twice_is_an_error() {
        let read = serde_json::from_str::<KeyValuePair>(r#"{"name":null}"#);
        assert_eq!(read.map_err(|error| error.to_string()), Ok(KeyValuePair::default()));
        assert!(why_not::<KeyValuePair>(r#"{"name":"a","name":"b"}"#).contains("duplicate field `name`"));
    }
}
