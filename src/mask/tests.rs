use super::*;
use base64::engine::general_purpose::STANDARD;

const HIDDEN: &str = "[hidden]";
const TOKEN: &str = "EwBoA8l6BAAU7p9QDpi-secret_token/with+signs.0123456789abcdefghijklmnopqrstuvwxyz";

fn masks() -> Masks {
    let mut masks = Masks::default();
    masks.add(TOKEN);
    masks
}

#[test]
fn a_token_is_hidden_in_every_form_a_server_may_send_it_back() {
    let sasl = format!("user=support@contoso.test\x01auth=Bearer {TOKEN}\x01\x01");
    for text in [
        format!("500 unknown command: {TOKEN}"),
        format!("BAD {}", STANDARD.encode(&sasl)),
        format!("BAD {}", STANDARD.encode(format!("x{sasl}"))),
        format!("BAD {}", STANDARD.encode(format!("xx{sasl}"))),
        format!("BAD {}", URL_SAFE_NO_PAD.encode(&sasl)),
        format!("500 line too long: {}", &STANDARD.encode(&sasl)[..100]),
        format!("500 …{}", &TOKEN[20..60]),
    ] {
        let shown = masks().apply(&text, HIDDEN);
        assert!(shown.contains(HIDDEN), "{text} -> {shown}");
        for piece in TOKEN.as_bytes().windows(WINDOW) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!shown.contains(piece), "{shown}");
        }
        for shift in 0..3 {
            let encoded = STANDARD_NO_PAD.encode([&vec![b' '; shift][..], TOKEN.as_bytes()].concat());
            assert!(!shown.contains(&encoded[8..32]), "{shown}");
        }
    }
}

#[test]
fn a_password_is_hidden_as_it_is_quoted_and_encoded() {
    let mut masks = Masks::default();
    masks.add("p\"ss\\w");
    assert_eq!(masks.apply("BAD LOGIN me p\"ss\\w!", HIDDEN), "BAD LOGIN me [hidden]!");
    assert_eq!(masks.apply("BAD LOGIN me \"p\\\"ss\\\\w\"", HIDDEN), "BAD LOGIN me \"[hidden]\"");
    let plain = masks.apply(&STANDARD.encode("\0me\0p\"ss\\w"), HIDDEN);
    assert!(plain.contains(HIDDEN), "{plain}");
}

#[test]
fn the_rest_of_the_line_stays_readable() {
    let text = "535-5.7.8 Username and Password not accepted. See https://support.google.com/mail/?p=BadCredentials";
    assert_eq!(masks().apply(text, HIDDEN), text);
    assert_eq!(masks().apply("grüße äöü 日本", HIDDEN), "grüße äöü 日本");
    assert_eq!(masks().apply(&format!("ü {TOKEN} ü {TOKEN}."), HIDDEN), "ü [hidden] ü [hidden].");
    assert_eq!(Masks::default().apply("", HIDDEN), "");
}

#[test]
fn no_encoding_hides_a_token() {
    let every = |write: fn(u8) -> String| TOKEN.bytes().map(write).collect::<String>();
    let form: String = url::form_urlencoded::byte_serialize(TOKEN.as_bytes()).collect();
    assert_ne!(form, TOKEN);
    let base64 = STANDARD.encode(format!("\0{TOKEN}")).replace('+', "%2b").replace('/', "%2F");
    for text in [
        form.clone(),
        form.to_lowercase().replace(&TOKEN.to_lowercase()[..20], &TOKEN[..20]),
        every(|byte| format!("%{byte:02X}")),
        every(|byte| format!("{byte:02x}")),
        format!("a{}", every(|byte| format!("{byte:02X}"))),
        every(|byte| format!("{byte:02x}:")),
        every(|byte| format!("\\x{byte:02x}")),
        every(|byte| format!("\\u{byte:04x}")),
        TOKEN.replace('/', "\\/"),
        base64,
    ] {
        let shown = masks().apply(&format!("500 >{text}< unknown"), HIDDEN);
        assert!(shown.starts_with("500 >") && shown.ends_with("< unknown"), "{shown}");
        assert!(shown.contains(HIDDEN) && shown.len() <= text.len() / 4 + 30, "{text} -> {shown}");
    }
    let mut masks = Masks::default();
    masks.add("sesame & more");
    for text in ["sesame+%26+more", "sesame%20%26%20more", "736573616d652026206d6f7265"] {
        assert_eq!(masks.apply(text, HIDDEN), HIDDEN);
    }
}

#[test]
fn what_is_spread_over_lines_or_changed_in_case_is_found_and_the_protocol_stays() {
    let pieces: Vec<String> = TOKEN
        .as_bytes()
        .chunks(5)
        .map(|piece| format!("* OK {}", String::from_utf8_lossy(piece)))
        .collect();
    let lines: Vec<(usize, &str)> = pieces.iter().map(|line| (5, line.as_str())).collect();
    for line in masks().apply_all(&lines, HIDDEN) {
        let left = line.strip_prefix("* OK ").unwrap().replace(HIDDEN, "");
        assert!(line.contains(HIDDEN) && !left.contains(char::is_alphanumeric), "{line}");
    }
    let spaced: String = TOKEN.chars().flat_map(|c| [c, ' ']).collect();
    for text in [spaced, TOKEN.to_uppercase(), STANDARD.encode(TOKEN).to_lowercase()] {
        let shown = masks().apply(&text, HIDDEN);
        assert!(shown.starts_with(HIDDEN) && shown.len() <= 30, "{text} -> {shown}");
    }
    // Letters that come together by chance are nobody's secret.
    let mut masks = Masks::default();
    masks.add("a.b.c-d");
    assert_eq!(masks.apply("a b c d", HIDDEN), "a b c d");
    assert_eq!(masks.apply("as a.b.c-d", HIDDEN), "as [hidden]");
}

#[test]
fn a_message_that_may_be_shown_is_hidden_where_it_is_encoded() {
    let mut masks = Masks::default();
    let message = "user=support@contoso.test\x01auth=Bearer x\x01\x01";
    masks.add_encoded(message);
    assert_eq!(masks.apply("user=support@contoso.test", HIDDEN), "user=support@contoso.test");
    assert_eq!(
        masks.apply(&format!("BAD {}", STANDARD_NO_PAD.encode(message)), HIDDEN),
        "BAD [hidden]E"
    );
}

#[test]
fn a_long_token_and_much_text_cost_their_sum_and_not_their_product() {
    // What this thread was busy for: others who want the processor don't count.
    let busy = || -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let mut state = 1_u32;
    let token: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 16) % 26).unwrap())
    })
    .take(60_000)
    .collect();
    // A provider and a mail server of one mind: all that is said is made of pieces of the token.
    let lines: Vec<String> = (0..900)
        .map(|line| (0..130).map(|n| &token[(line * 61 + n * 97) % 59_000..][..15]).collect())
        .collect();
    let began = busy();
    let mut masks = Masks::default();
    masks.add(&token);
    for line in &lines {
        masks.apply(line, HIDDEN);
    }
    let took = busy() - began;
    assert!(took < 10_000_000_000, "{took} ns");
}
