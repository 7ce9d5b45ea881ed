use proptest::prelude::*;

use super::*;
use crate::cos::text::is_unseen;

const ID: &str = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3gnPhESA";
const KEY: &str = "Gu5t9xGARNpq86cd98joQYCN3Cozk1qA";
const TOKEN: &str = "tok/en+Qx7Lm2Rw9Kd4Vb6Nc8Zh1Jf3Gs5Tp0YuWe==";

fn redactor() -> Redactor {
    let redactor = Redactor::new(["http://someone:pass%2Fword-1@proxy:3128".to_owned()]);
    let credentials = Credentials {
        secret_id: ID.to_owned(),
        secret_key: KEY.into(),
        token: Some(TOKEN.into()),
        expires_at: None,
    };
    redactor.signed(&Arc::new(credentials), "0123456789abcdef0123456789abcdef01234567".to_owned());
    redactor
}

#[test]
fn a_secret_is_removed_in_every_form_that_it_can_have() {
    let redactor = redactor();
    let encoded =
        |text: &str| text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02x}"));
    for secret in [ID, KEY, TOKEN, "pass/word-1", "c29tZW9uZTpwYXNzL3dvcmQtMQ=="] {
        let forms = [
            secret.to_owned(),
            secret.to_lowercase(),
            secret.to_uppercase(),
            secret[1..secret.len() - 1].to_owned(),
            crate::cos::encode(secret),
            crate::cos::encode(&crate::cos::encode(secret)),
            encoded(secret),
            secret.replace('/', "\\/"),
            format!("{}\n {}", &secret[..6], &secret[6..]),
            format!("{}\u{200b}{}", &secret[..6], &secret[6..]),
        ];
        for form in forms {
            let text = format!("denied for <{form}> here");
            let hidden = redactor.hide(&text);
            assert_eq!(hidden, "denied for <[redacted]> here", "{form}");
        }
    }
}

#[test]
fn eight_characters_of_a_secret_are_removed_and_seven_are_not() {
    let redactor = redactor();
    assert_eq!(redactor.hide(&ID[10..18]), "[redacted]");
    assert_eq!(redactor.hide(&ID[..7]), &ID[..7]);
    assert_eq!(redactor.hide(&format!("{}…", &KEY[..20])), "[redacted]…");
    assert_eq!(redactor.hide("q-signature=89abcdef0123&x"), "q-signature=[redacted]&x");
    let foreign = "f".repeat(40);
    assert_eq!(redactor.hide(&format!("signature {foreign}.")), "signature [redacted].");
}

#[test]
fn no_blank_and_no_invisible_character_is_in_the_range_that_is_passed_over() {
    let mut passed_over = '\u{3001}'..'\u{feff}';
    assert!(passed_over.all(|c| !c.is_whitespace() && !is_unseen(c)));
}

#[test]
fn a_text_without_secrets_is_not_changed() {
    let redactor = redactor();
    for text in [
        "",
        "Access Denied.",
        "NjZmNmEwMDBfZXhhbXBsZTAwMDFfMDAwMQ==",
        "d41d8cd98f00b204e9800998ecf8427e",
        "照片/猫.jpg 100% of %zz %",
    ] {
        assert!(matches!(redactor.hide(text), Cow::Borrowed(_)), "{text}");
    }
}

proptest! {
    #![proptest_config(crate::property::config())]

    // The text is made of pieces of a secret, hexadecimal digits, and what may stand between characters.
    #[test]
    fn a_text_that_counts_as_clean_holds_no_secret(
        pieces in prop::collection::vec(
            prop_oneof![
                (0..36_usize, 0..12_usize).prop_map(|(at, length)| {
                    ID[at..(at + length).min(ID.len())].to_owned()
                }),
                "[a-f0-9]{1,9}",
                "[ \\\\\u{200b}%é猫A-Za-z]{0,4}",
            ],
            0..8,
        ),
    ) {
        let (redactor, text) = (redactor(), pieces.concat());
        if redactor.is_clean(&text) {
            prop_assert!(matches!(redactor.search(&text), Cow::Borrowed(_)), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_hiding_panic_or_leave_a_secret(before: String, after: String, cut in 0..28_usize) {
        let redactor = redactor();
        let _ = redactor.hide(&before);
        let text = format!("{before}{}{after}", &ID[cut..cut + 8]);
        let hidden = redactor.hide(&text).into_owned();
        prop_assert!(!hidden.contains(&ID[cut..cut + 8]), "{}", hidden);
        prop_assert_eq!(redactor.hide(&hidden).into_owned(), hidden.clone());
    }
}
