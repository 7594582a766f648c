//! Against what real servers store and real clients send.

use mysql_common::scramble::scramble_sha256;
use proptest::prelude::*;

use super::*;
use crate::hex::hex;

/// From `mysql.user` of MySQL 9.7.4: with 5000 rounds (005), which is what MySQL 8 had, and 10000 (00A), its own.
fn stored() -> Vec<(Vec<u8>, Vec<u8>)> {
    let cases = [
        (
            "secret".to_owned(),
            "24412430303524275C5070565F01353650197768372556254F325D595A544955486647
             327151416958582F77376B6A426D464C445966526453616538754E72644F6E56453634",
        ),
        (
            "Tr0ub4dor&3 and a password of more than 32 bytes".to_owned(),
            "244124303035241F25111F751C4A7A1F6A3B723625411A2509500C367649742E675274
             7277345678565872466E513930723067526B4463754F756338526E464B6A6E634D2E2E",
        ),
    ];
    let mut all: Vec<_> = cases.map(|(password, digits)| (password.into_bytes(), hex(digits))).to_vec();
    all.extend(ten_thousand_rounds());
    all
}

fn ten_thousand_rounds() -> Vec<(Vec<u8>, Vec<u8>)> {
    let cases = [
        ("secret".to_owned(), U1),
        ("p".to_owned(), U2),
        ("pässwörd ☃".to_owned(), U3),
        ("x".repeat(31), U4),
        ("y".repeat(32), U5),
        ("z".repeat(33), U6),
        ("0123456789abcdefghij".repeat(3) + "01234567", U7),
        ("L".repeat(256), U8),
    ];
    cases.map(|(password, digits)| (password.into_bytes(), hex(digits))).to_vec()
}

const U1: &str = "244124303041242304056C2135442F46025848081879674D2268656A4351716A377962
    5654456371704E71757641476770786950596C39473965494B6B7A424C2E6366735A36";
const U2: &str = "244124303041240F0C5D152B2038024A077E45487C2521525A1916334D5A34746C6F50
    4B4C324F62567A5953444441766D675A4C62696F76633668566C79662F764348537832";
const U3: &str = "244124303041240C40014C010C791944254E5749385911491015116E666D4C33534A2E
    755A464241455548506F564D4F4945332F504469515167447541642F6A652E654F7733";
const U4: &str = "244124303041245227651C3C2E0C7E054C39637A46100D257468566C585345366D5765
    686C596570516670394865344C6139316A392E73734D4F513974425357593633746534";
const U5: &str = "24412430304124254C46451B7351385D2E04064F600B687A58690A2F5A6132594B4151
    614D51436C4D786A70456C3871716C2F2E70737A5163596A7362594E6C396266693531";
const U6: &str = "2441243030412459023B69311765292543274506252901522F263D63364F3975775237
    725551654568633373396A5733674D33484177754F686961702F7171614F7671703830";
const U7: &str = "244124303041240323366401137E611C217C18022557273A0B555E2E64787A78385A70
    384E64534C526E374A657A664C6F2E4A563169324D6763336247527162575863384639";
const U8: &str = "244124303041246628067B6B706F79635E4578227E3D594A1618306366584A57665567
    622F757249416F54435A7559356E626A6D6F555338686D73752E747A45797854383438";

#[test]
fn strings_that_mysql_stored_open_for_their_passwords_and_no_others() {
    for (password, string) in stored() {
        assert!(is_authentication_string(&string));
        assert_eq!(check_full(&string, &password), Some(Verifier::of(&password)));
        let mut wrong = password.clone();
        wrong[0] ^= 1;
        assert_eq!(check_full(&string, &wrong), None);
        assert_eq!(check_full(&string, &[&password[..], b"x"].concat()), None);
        assert_eq!(check_full(&string, b""), None);
    }
}

#[test]
fn what_we_store_is_what_mysql_would_store() {
    for (password, string) in stored().into_iter().filter(|(_, string)| string.starts_with(b"$A$00A$")) {
        let salt: &[u8; SALT_LEN] = string[7..27].try_into().unwrap();
        assert_eq!(authentication_string(&password, salt), string);
    }
}

#[test]
fn a_password_longer_than_mysql_allows_opens_nothing() {
    let long = [b'L'; MAX_PASSWORD + 1];
    let string = authentication_string(&long, b"abcdefghijklmnopqrst");
    assert_eq!(check_full(&string, &long), None);
    assert!(check_full(&authentication_string(&long[1..], b"abcdefghijklmnopqrst"), &long[1..]).is_some());
}

#[test]
fn what_is_no_authentication_string_opens_for_no_one() {
    let (password, good) = stored().remove(0);
    let with = |at: usize, byte: u8| {
        let mut string = good.clone();
        string[at] = byte;
        string
    };
    let cases = [
        ("empty", Vec::new()),
        ("short", good[..69].to_vec()),
        ("long", [&good[..], b"x"].concat()),
        ("another digest's mark", with(1, b'B')),
        ("rounds that are no number", with(4, b'g')),
        ("rounds with a sign", with(3, b'+')),
        ("fewer rounds", with(5, b'4')),
        ("no rounds", with(5, b'0')),
        ("no separator", with(6, b'x')),
        ("another salt", with(7, good[7] ^ 1)),
        ("another digest", with(69, b'.')),
        ("what MySQL gives its own locked accounts", locked()),
    ];
    for (name, string) in cases {
        assert_eq!(check_full(&string, &password), None, "{name}");
    }
}

fn locked() -> Vec<u8> {
    b"$A$005$THISISACOMBINATIONOFINVALIDSALTANDPASSWORDTHATMUSTNEVERBRBEUSED".to_vec()
}

#[test]
fn a_captured_scramble_is_the_one_we_make_and_check() {
    // The `mysql` client's, for the password "secret".
    let nonce = hex("055a23391e0b49327d76623013455b04337e4b14").try_into().unwrap();
    let scramble = hex("ed58cba54247c5fff2bc6c0985d879aecaf90eacd8489357cf353dd353cc13c4");
    assert_eq!(fast_scramble(b"secret", &nonce)[..], scramble);
    let verifier = Verifier::of(b"secret");
    assert!(verifier.check_fast(&scramble, &nonce));
    assert!(!Verifier::of(b"Secret").check_fast(&scramble, &nonce));
    for cut in 0..scramble.len() {
        assert!(!verifier.check_fast(&scramble[..cut], &nonce));
    }
    let mut other = nonce;
    other[0] ^= 1;
    assert!(!verifier.check_fast(&scramble, &other));
    assert_eq!(format!("{verifier:?}"), "Verifier(..)");
}

proptest! {
    #[test]
    fn scrambles_are_those_of_another_implementation(
        password in prop::collection::vec(any::<u8>(), 1..100),
        nonce: [u8; 20],
        bit in 0usize..256,
    ) {
        let mut scramble = fast_scramble(&password, &nonce);
        prop_assert_eq!(scramble_sha256(&nonce, &password), Some(scramble));
        prop_assert!(Verifier::of(&password).check_fast(&scramble, &nonce));
        scramble[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!Verifier::of(&password).check_fast(&scramble, &nonce));
    }
}
