//! COM_STMT_EXECUTE: a prepared statement's id and the values of its parameters.
//!
//! The packet cannot be read alone: how many parameters there are, which types an earlier packet bound and which values came
//! by COM_STMT_SEND_LONG_DATA is the connection's memory, handed in. Next: `result_set`.

use std::borrow::Cow;

use bytes::BufMut;
use mysql_common::constants::CapabilityFlags;

use super::binary_value::BinaryValue;
use super::bind::{Binding, Bound, ParamType, put_bound};
use crate::codec::{Cursor, DecodeError, Decoded, put_lenenc_int};

/// In [`Execute::flags`]: the packet says how many values it carries.
const PARAMETER_COUNT_AVAILABLE: u8 = 0x08;

/// A statement's execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Execute<'a> {
    /// The statement.
    pub statement_id: u32,
    /// The cursor that is wanted (0: none), and [`CapabilityFlags::CLIENT_QUERY_ATTRIBUTES`]' own bit.
    pub flags: u8,
    /// Always 1.
    pub iterations: u32,
    /// Whether this packet binds types; if not, [`Self::types`] are the earlier ones.
    pub new_params_bound: bool,
    /// The types of all values. The first [`Self::params`] of them are what the next packet's `previous_types` must be.
    pub types: Cow<'a, [ParamType]>,
    /// All values, long data included; query attributes follow the parameters.
    pub values: Vec<BinaryValue<'a>>,
    /// How many of the values are parameters.
    pub params: usize,
}

impl<'a> Execute<'a> {
    /// Reads the bytes after the command byte.
    ///
    /// `param_count` is what PREPARE answered, `previous_types` what the last packet that bound types had (empty: none),
    /// `long_data` the bytes sent ahead for a parameter, which has no value in this packet then.
    pub fn decode(
        payload: &'a [u8],
        capabilities: CapabilityFlags,
        param_count: usize,
        previous_types: &'a [ParamType],
        long_data: &dyn Fn(usize) -> Option<&'a [u8]>,
    ) -> Decoded<Execute<'a>> {
        let mut cursor = Cursor::new(payload);
        let statement_id = cursor.u32le("statement id")?;
        let flags = cursor.u8("flags")?;
        let iterations = cursor.u32le("iterations")?;
        let named = capabilities.contains(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES);
        let mut count = param_count;
        // MySQL's documentation makes the number depend on the flag alone; its server does not.
        if named && (param_count > 0 || flags & PARAMETER_COUNT_AVAILABLE != 0) {
            let sent = cursor.lenenc_int("number of parameters")?;
            count = usize::try_from(sent).map_err(|_| DecodeError::Truncated { field: "parameters" })?;
            if count < param_count {
                return Err(DecodeError::BadArguments);
            }
        }
        let mut bound = Bound::empty();
        if count > 0 {
            bound = Bound::read(&mut cursor, &Binding { count, named, previous_types, long_data })?;
        }
        let Bound { new_params_bound, types, values, .. } = bound;
        Ok(Execute { statement_id, flags, iterations, new_params_bound, types, values, params: param_count })
    }

    /// The query attributes: what follows the parameters.
    pub fn attributes(&self) -> impl Iterator<Item = (&[u8], &BinaryValue<'a>)> {
        let all = self.types.iter().map(|of| &of.name[..]).zip(&self.values);
        all.skip(self.params)
    }

    /// Writes the bytes after the command byte, for the statement that a connection with `capabilities` knows as
    /// `statement_id`. Types are always bound and long data travels in line, so the server needs no earlier packet.
    /// Attributes are left out where the connection has none.
    pub fn encode(&self, statement_id: u32, capabilities: CapabilityFlags, out: &mut Vec<u8>) {
        let named = capabilities.contains(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES);
        let count = if named { self.values.len() } else { self.params.min(self.values.len()) };
        out.put_u32_le(statement_id);
        let flags = self.flags & !PARAMETER_COUNT_AVAILABLE;
        out.put_u8(if named && count > 0 { flags | PARAMETER_COUNT_AVAILABLE } else { flags });
        out.put_u32_le(self.iterations);
        if count == 0 {
            return;
        }
        if named {
            put_lenenc_int(out, count as u64);
        }
        put_bound(out, &self.types[..count.min(self.types.len())], &self.values[..count], named);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41;
    const NAMED: CapabilityFlags = CapabilityFlags::CLIENT_QUERY_ATTRIBUTES;
    const HEAD: &[u8] = b"\x02\0\0\0\0\x01\0\0\0";
    const HEAD_COUNTED: &[u8] = b"\x02\0\0\0\x08\x01\0\0\0";

    fn of(column_type: u8, unsigned: bool, name: &str) -> ParamType {
        ParamType { column_type, unsigned, name: name.as_bytes().to_vec() }
    }

    fn no_long_data<'a>(_: usize) -> Option<&'a [u8]> {
        None
    }

    fn decode<'a>(
        bytes: &'a [u8],
        capabilities: CapabilityFlags,
        params: usize,
        previous: &'a [ParamType],
    ) -> Decoded<Execute<'a>> {
        Execute::decode(bytes, capabilities, params, previous, &no_long_data)
    }

    /// What MySQL 9.7.4 answered to these is what they are read as.
    #[test]
    fn packets_that_mysql_takes_are_taken() {
        let ints = [of(8, false, ""), of(8, true, "")];
        let values = vec![BinaryValue::Int(-5), BinaryValue::UInt(7)];
        let sent = b"\xFB\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x07\0\0\0\0\0\0\0";
        type Case<'a> = (&'a str, CapabilityFlags, Vec<u8>, &'a [ParamType], Vec<BinaryValue<'a>>);
        let cases: [Case<'_>; 8] = [
            ("types bound", PLAIN, [HEAD, b"\0\x01\x08\0\x08\x80", sent].concat(), &[], values.clone()),
            ("by any flag but 0", PLAIN, [HEAD, b"\0\x02\x08\0\x08\x80", sent].concat(), &[], values.clone()),
            ("types of before", PLAIN, [HEAD, b"\0\0", sent].concat(), &ints, values.clone()),
            (
                "one NULL",
                PLAIN,
                [HEAD, b"\x01\0", &sent[8..]].concat(),
                &ints,
                vec![BinaryValue::Null, BinaryValue::UInt(7)],
            ),
            (
                "nothing but NULLs, never bound",
                PLAIN,
                [HEAD, b"\x03\0"].concat(),
                &[],
                vec![BinaryValue::Null; 2],
            ),
            (
                "names",
                NAMED,
                [HEAD_COUNTED, b"\x02\0\x01\x08\0\0\x08\x80\0", sent].concat(),
                &[],
                values.clone(),
            ),
            (
                "a number of parameters without its flag",
                NAMED,
                [HEAD, b"\x02\0\x01\x08\0\0\x08\x80\0", sent].concat(),
                &[],
                values.clone(),
            ),
            ("bytes too many", PLAIN, [HEAD, b"\0\0", sent, b"abc"].concat(), &ints, values),
        ];
        for (name, capabilities, bytes, previous, values) in cases {
            let execute = decode(&bytes, capabilities, 2, previous).expect(name);
            assert_eq!((execute.statement_id, execute.iterations, execute.params), (2, 1, 2), "{name}");
            assert_eq!(execute.values, values, "{name}");
            assert_eq!(execute.attributes().count(), 0, "{name}");
        }
    }

    #[test]
    fn packets_that_mysql_refuses_are_refused() {
        let truncated = |field| DecodeError::Truncated { field };
        let cases: [(&str, CapabilityFlags, Vec<u8>, usize, DecodeError); 9] = [
            ("nothing", PLAIN, vec![], 0, truncated("statement id")),
            ("no more than an id", PLAIN, vec![1, 0, 0, 0], 0, truncated("flags")),
            ("no values", PLAIN, HEAD.to_vec(), 1, truncated("NULL bitmap")),
            ("never bound", PLAIN, [HEAD, b"\0\0\x05"].concat(), 1, DecodeError::BadArguments),
            ("an unknown type", PLAIN, [HEAD, b"\0\x01\xC8\0\x01a"].concat(), 1, DecodeError::BadArguments),
            ("a value cut", PLAIN, [HEAD, b"\0\x01\x08\0\x01"].concat(), 1, truncated("BIGINT")),
            ("fewer than it needs", NAMED, [HEAD, b"\0"].concat(), 1, DecodeError::BadArguments),
            ("a flag without its number", NAMED, HEAD_COUNTED.to_vec(), 0, truncated("number of parameters")),
            (
                "an absurd number",
                NAMED,
                [HEAD_COUNTED, b"\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"].concat(),
                1,
                DecodeError::BadArguments,
            ),
        ];
        for (name, capabilities, bytes, params, error) in cases {
            assert_eq!(decode(&bytes, capabilities, params, &[]), Err(error), "{name}");
        }
    }

    #[test]
    fn attributes_follow_the_parameters() {
        let bytes = [
            HEAD_COUNTED,
            b"\x03\x04\x01\x08\0\0\xFE\0\x01a\xFE\0\x01b",
            &[9, 0, 0, 0, 0, 0, 0, 0],
            b"\x02hi",
        ];
        let bytes = bytes.concat();
        let execute = decode(&bytes, NAMED, 1, &[]).unwrap();
        let attributes: Vec<_> = execute.attributes().collect();
        let expected = [(&b"a"[..], &BinaryValue::Bytes(b"hi")), (&b"b"[..], &BinaryValue::Null)];
        assert_eq!(attributes, expected);
        assert_eq!(execute.types[..execute.params], [of(8, false, "")]);

        let mut out = Vec::new();
        execute.encode(2, NAMED, &mut out);
        assert_eq!(out, bytes);

        // A connection without attributes gets the parameters alone.
        out.clear();
        execute.encode(2, PLAIN, &mut out);
        let without = decode(&out, PLAIN, 1, &[]).unwrap();
        assert_eq!((without.flags, &without.values[..]), (0, &[BinaryValue::Int(9)][..]));
    }

    #[test]
    fn a_statement_without_parameters_may_still_have_attributes() {
        let bytes = [HEAD_COUNTED, b"\x01\0\x01\xFE\0\x01a\x02hi"].concat();
        let execute = decode(&bytes, NAMED, 0, &[]).unwrap();
        assert_eq!(execute.attributes().collect::<Vec<_>>(), [(&b"a"[..], &BinaryValue::Bytes(b"hi"))]);
        let mut out = Vec::new();
        execute.encode(7, PLAIN, &mut out);
        assert_eq!(out, b"\x07\0\0\0\0\x01\0\0\0");
        assert_eq!(decode(&[HEAD_COUNTED, b"\0"].concat(), NAMED, 0, &[]).unwrap().values, []);
        assert_eq!(decode(HEAD, NAMED, 0, &[]).unwrap().values, []);
    }

    #[test]
    fn long_data_has_no_value_in_the_packet_and_travels_in_line_from_us() {
        // A blob and, by mistake, an integer sent as long data.
        for (bound, sent_as) in [(252, 252), (8, 251)] {
            let bytes = [HEAD, b"\0\x01\x01\0", &[bound, 0], b"\x01\0", b"\x05\x06"].concat();
            let execute =
                Execute::decode(&bytes, PLAIN, 3, &[], &|index| (index == 1).then_some(&b"long"[..]))
                    .unwrap();
            let values = [BinaryValue::Int(5), BinaryValue::Bytes(b"long"), BinaryValue::Int(6)];
            assert_eq!(execute.values, values);
            let mut out = Vec::new();
            execute.encode(9, PLAIN, &mut out);
            let again = decode(&out, PLAIN, 3, &[]).unwrap();
            assert_eq!(again.values, values);
            assert_eq!((again.statement_id, again.types[1].column_type), (9, sent_as));
        }
    }

    fn bound() -> impl Strategy<Value = (ParamType, Vec<u8>)> {
        let value = (0..3u8, any::<bool>(), prop::collection::vec(any::<u8>(), 8));
        value.prop_map(|(kind, unsigned, bytes)| match kind {
            0 => (of(8, unsigned, ""), bytes),
            1 => (of(253, false, ""), [&[8][..], &bytes].concat()),
            _ => (of(1, unsigned, ""), vec![bytes[0]]),
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_again_means_the_same(
            values in prop::collection::vec((bound(), any::<bool>()), 1..40),
            rebind: bool,
        ) {
            let types: Vec<_> = values.iter().map(|((of, _), _)| of.clone()).collect();
            let mut bytes = HEAD.to_vec();
            let mut bitmap = vec![0u8; values.len().div_ceil(8)];
            let nulls = values.iter().enumerate().filter(|(_, (_, is_null))| *is_null);
            nulls.for_each(|(at, _)| bitmap[at / 8] |= 1 << (at % 8));
            bytes.extend_from_slice(&bitmap);
            bytes.put_u8(rebind.into());
            if rebind {
                types.iter().for_each(|of| bytes.put_slice(&[of.column_type, u8::from(of.unsigned) << 7]));
            }
            values.iter().filter(|(_, is_null)| !is_null).for_each(|((_, sent), _)| bytes.put_slice(sent));
            let previous = if rebind { &[][..] } else { &types[..] };
            let execute = decode(&bytes, PLAIN, values.len(), previous).unwrap();
            prop_assert_eq!(&execute.types[..], &types[..]);
            for capabilities in [PLAIN, NAMED] {
                let mut out = Vec::new();
                execute.encode(2, capabilities, &mut out);
                let again = decode(&out, capabilities, values.len(), &[]).unwrap();
                prop_assert!(again.new_params_bound);
                prop_assert_eq!(&again.values, &execute.values);
                prop_assert_eq!(&again.types[..], &types[..]);
            }
        }
    }
}
