//! The names of a transaction over several servers, as MySQL sees them. Read strictly, so that another program's xid is never taken for one of ours.

use std::fmt;

use crate::{HybridTime, ServerId};

/// The `formatID` of our xids: how they are told from those of other programs.
pub const BRANCH_FORMAT: u64 = 1347;

/// A transaction's id, the `gtrid` of its branches and the key of its decision: 35 ASCII bytes that sort by the time of its begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtrid {
    /// When it began.
    pub begun: HybridTime,
    /// The proxy that began it.
    pub node: u16,
    /// Which start of that proxy.
    pub incarnation: u16,
    /// Its number since that start.
    pub sequence: u32,
}

/// A branch's qualifier, `bqual`: it names the server that can say what becomes of the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Branch {
    /// The server that holds the decision.
    pub primary: ServerId,
    /// The server that the branch is on.
    pub server: ServerId,
}

/// A branch's full name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid {
    /// The transaction.
    pub gtrid: Gtrid,
    /// Its branch.
    pub branch: Branch,
}

impl Gtrid {
    /// The length of its text.
    pub const LENGTH: usize = 35;

    /// The id that this is the text of; none if it is not exactly as [`Gtrid`] prints one.
    pub fn parse(text: &str) -> Option<Gtrid> {
        if text.len() != Gtrid::LENGTH || !text.is_ascii() {
            return None;
        }
        let mut fields = text.split('-');
        let mut field = |digits: usize| {
            let field = fields.next().filter(|field| field.len() == digits)?;
            let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if field.bytes().all(lower_hex) { u64::from_str_radix(field, 16).ok() } else { None }
        };
        let begun = HybridTime(field(16)?);
        let node = u16::try_from(field(4)?).ok()?;
        let incarnation = u16::try_from(field(4)?).ok()?;
        let sequence = u32::try_from(field(8)?).ok()?;
        Some(Gtrid { begun, node, incarnation, sequence })
    }

    /// The key of the mark that raises the highest stamp of a server to this transaction's commit stamp.
    pub fn floor(&self) -> String {
        format!("{self}-floor")
    }
}

impl fmt::Display for Gtrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:04x}-{:04x}-{:08x}", self.begun.0, self.node, self.incarnation, self.sequence)
    }
}

impl Branch {
    /// The qualifier that this is the text of; none if it is not exactly as [`Branch`] prints one.
    pub fn parse(text: &str) -> Option<Branch> {
        let (primary, server) = text.split_once('.')?;
        let branch =
            Branch { primary: ServerId(primary.parse().ok()?), server: ServerId(server.parse().ok()?) };
        // Rules out signs and leading zeros.
        (branch.to_string() == text && branch.primary != branch.server).then_some(branch)
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.primary.0, self.server.0)
    }
}

impl Xid {
    /// The branch of a transaction on a server.
    pub fn new(gtrid: Gtrid, primary: ServerId, server: ServerId) -> Xid {
        Xid { gtrid, branch: Branch { primary, server } }
    }

    /// The xid of a row of XA RECOVER CONVERT XID, whose last column reads `0x` and hexadecimal digits; none if it is not ours.
    pub fn recovered(format_id: u64, gtrid_length: usize, bqual_length: usize, data: &str) -> Option<Xid> {
        if format_id != BRANCH_FORMAT || gtrid_length != Gtrid::LENGTH {
            return None;
        }
        let text = hex_text(data.strip_prefix("0x")?)?;
        if text.len() != gtrid_length.checked_add(bqual_length)? || !text.is_ascii() {
            return None;
        }
        let (gtrid, branch) = text.split_at(gtrid_length);
        Some(Xid { gtrid: Gtrid::parse(gtrid)?, branch: Branch::parse(branch)? })
    }

    /// As XA statements take it: `X'…',X'…',1347`. Strings would be converted to the session's `character_set_connection`, hexadecimal digits are bytes.
    pub fn sql(&self) -> String {
        let digits = |text: String| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
        format!(
            "X'{}',X'{}',{BRANCH_FORMAT}",
            digits(self.gtrid.to_string()),
            digits(self.branch.to_string())
        )
    }
}

/// The servers that a transaction commits on, as decisions and marks name them: decimal ids with commas, the primary first.
pub fn parts_text(primary: ServerId, branches: impl IntoIterator<Item = ServerId>) -> String {
    let ids = std::iter::once(primary).chain(branches).map(|server| server.0.to_string());
    ids.collect::<Vec<_>>().join(",")
}

fn hex_text(digits: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: &str = "6a1b2c3d4e5f6071-0007-0003-0000a91f";

    fn gtrid() -> Gtrid {
        Gtrid { begun: HybridTime(0x6a1b_2c3d_4e5f_6071), node: 7, incarnation: 3, sequence: 0xa91f }
    }

    fn hex(text: &str) -> String {
        let digits: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        format!("0x{digits}")
    }

    #[test]
    fn an_id_is_read_as_it_is_printed() {
        assert_eq!(gtrid().to_string(), G);
        assert_eq!(G.len(), Gtrid::LENGTH);
        assert_eq!(Gtrid::parse(G), Some(gtrid()));
        let all =
            Gtrid { begun: HybridTime(u64::MAX), node: u16::MAX, incarnation: u16::MAX, sequence: u32::MAX };
        assert_eq!(Gtrid::parse(&all.to_string()), Some(all));
        assert_eq!(gtrid().floor(), format!("{G}-floor"));
    }

    #[test]
    fn ids_sort_as_their_text_does() {
        let later = Gtrid { begun: HybridTime(0x6a1b_2c3d_4e5f_6072), node: 0, incarnation: 0, sequence: 0 };
        assert!(gtrid() < later && gtrid().to_string() < later.to_string());
    }

    #[test]
    fn what_is_not_exactly_an_id_is_none() {
        let foreign = [
            "",
            "6A1B2C3D4E5F6071-0007-0003-0000A91F",
            "6a1b2c3d4e5f6071-0007-0003-0000a91",
            "6a1b2c3d4e5f6071-0007-0003-0000a91f0",
            "6a1b2c3d4e5f6071-0007-00030000a91f-",
            "6a1b2c3d4e5f60710-007-0003-0000a91f",
            "+a1b2c3d4e5f6071-0007-0003-0000a91f",
            "6a1b2c3d4e5f6071-0007-0003-0000a9 f",
            "6a1b2c3d4e5f6071_0007_0003_0000a91f",
            "6a1b2c3d4e5f607é0007-0003-0000a91f0",
        ];
        for text in foreign {
            assert_eq!(Gtrid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_qualifier_is_read_as_it_is_printed() {
        let branch = Branch { primary: ServerId(1), server: ServerId(u32::MAX) };
        assert_eq!(branch.to_string(), "1.4294967295");
        assert_eq!(Branch::parse("1.4294967295"), Some(branch));
        for text in
            ["", ".", "1", "1.", ".2", "01.2", "1.02", "+1.2", "1.2.3", "1.4294967296", "1. 2", "-1.2", "2.2"]
        {
            assert_eq!(Branch::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_xid_is_written_for_sql_and_read_from_xa_recover() {
        let xid = Xid::new(gtrid(), ServerId(1), ServerId(12));
        let digits = |text: &str| hex(text).trim_start_matches("0x").to_uppercase();
        assert_eq!(xid.sql(), format!("X'{}',X'{}',1347", digits(G), digits("1.12")));
        let data = hex(&format!("{G}1.12"));
        assert_eq!(Xid::recovered(1347, 35, 4, &data), Some(xid));
        assert_eq!(Xid::recovered(1347, 35, 4, &data.to_lowercase()), Some(xid));
    }

    #[test]
    fn another_programs_xid_is_none_of_ours() {
        let data = hex(&format!("{G}1.12"));
        assert_eq!(Xid::recovered(1, 35, 4, &data), None);
        assert_eq!(Xid::recovered(1347, 34, 5, &data), None);
        assert_eq!(Xid::recovered(1347, 35, 3, &data), None);
        assert_eq!(Xid::recovered(1347, 35, usize::MAX, &data), None);
        assert_eq!(Xid::recovered(1347, 35, 4, &data[2..]), None);
        assert_eq!(Xid::recovered(1347, 35, 4, &data[..data.len() - 1]), None);
        assert_eq!(Xid::recovered(1347, 35, 4, &data.replace("2E", "2G")), None);
        assert_eq!(Xid::recovered(1347, 35, 0, &hex(G)), None);
        assert_eq!(Xid::recovered(1347, 35, 4, &format!("0x{}", "FF".repeat(39))), None);
    }

    #[test]
    fn parts_name_the_primary_first() {
        assert_eq!(parts_text(ServerId(3), [ServerId(1), ServerId(12)]), "3,1,12");
        assert_eq!(parts_text(ServerId(3), []), "3");
    }
}
