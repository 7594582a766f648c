//! The functions that make a keyspace id of a canonical form. Never sees a column.
//!
//! Read next: [`super::predicate`] and [`super::insert`], which write the form.

use std::sync::LazyLock;

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use podway_model::{KeyspaceId, Vindex};

use super::canonical::CanonicalForm;

/// Vitess's `hash` is 3DES with three null keys, which is DES with one.
static NULL_KEY: LazyLock<Des> = LazyLock::new(|| Des::new(&[0; 8].into()));

/// The id that a vindex makes of a key. NULL has no number, so that every function hashes it like `xxh3`.
pub(super) fn keyspace_id(vindex: Vindex, form: &CanonicalForm) -> KeyspaceId {
    let id = match (vindex, form.number()) {
        (Vindex::Hash, Some(number)) => vitess_hash(number),
        (Vindex::Identity, Some(number)) => number,
        (Vindex::Xxh3, _) | (_, None) => form.xxh3(),
    };
    KeyspaceId(id)
}

fn vitess_hash(number: u64) -> u64 {
    let mut block = number.to_be_bytes().into();
    NULL_KEY.encrypt_block(&mut block);
    u64::from_be_bytes(block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_gives_vitess_ids() {
        let cases = [(1, 0x166b_40b4_4aba_4bd6), (2, 0x06e7_ea22_ce92_708f), (3, 0x4eb1_90c9_a2fa_169c)];
        for (number, id) in cases {
            let mut form = CanonicalForm::new();
            form.integer(number);
            assert_eq!(keyspace_id(Vindex::Hash, &form), KeyspaceId(id), "{number}");
        }
    }

    #[test]
    fn negative_numbers_are_taken_in_twos_complement() {
        let mut form = CanonicalForm::new();
        form.integer(-1);
        assert_eq!(keyspace_id(Vindex::Identity, &form), KeyspaceId(u64::MAX));
        assert_eq!(keyspace_id(Vindex::Hash, &form), KeyspaceId(vitess_hash(u64::MAX)));
    }
}
