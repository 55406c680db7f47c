use super::*;

fn load(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(&Flags::default(), |name| {
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn defaults_stay_on_this_machine() {
    let config = load(&[]).unwrap();
    assert_eq!(
        (config.listen.to_string().as_str(), config.base_url.as_str()),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/")
    );
    assert_eq!(
        load(&[("MAILGRANT_LISTEN", "0.0.0.0:9000")]).unwrap().url("/x"),
        "http://localhost:9000/x"
    );
}

#[test]
fn plain_http_on_a_public_address_wants_to_be_asked_for() {
    let error = load(&[("MAILGRANT_BASE_URL", "http://console.example.com")]).err().unwrap();
    assert!(error.help[0].contains("--insecure-http"));
    assert!(
        load(&[
            ("MAILGRANT_BASE_URL", "http://console.example.com"),
            ("MAILGRANT_INSECURE_HTTP", "1")
        ])
        .is_ok()
    );
    assert!(
        load(&[
            ("MAILGRANT_BASE_URL", "https://console.example.com"),
            ("MAILGRANT_LISTEN", "0.0.0.0:80")
        ])
        .is_ok()
    );
    for bad in ["ftp://x", "https://u:p@x", "https://x/path", "x"] {
        assert!(load(&[("MAILGRANT_BASE_URL", bad)]).is_err(), "{bad}");
    }
}

#[test]
fn an_unknown_key_names_the_line_and_the_nearest_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "listen = \"127.0.0.1:1\"\nallow_network = []\n").unwrap();
    let flags = Flags {
        config: Some(file.path().into()),
        ..Flags::default()
    };
    let error = Config::load(&flags, |_| None).err().unwrap();
    assert!(error.message.ends_with(":2: unknown key \"allow_network\""), "{error}");
    assert_eq!(error.help, ["did you mean \"allow_networks\"?"]);
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "listen = \"127.0.0.1:1\"\ndata_dir = \"/a\"\nlog_format = \"json\"\n").unwrap();
    let flags = Flags {
        config: Some(file.path().into()),
        listen: Some("127.0.0.1:3".into()),
        ..Flags::default()
    };
    let env = |name: &str| match name {
        "MAILGRANT_LISTEN" => Some("127.0.0.1:2".to_owned()),
        "MAILGRANT_DATA_DIR" => Some("/b".to_owned()),
        _ => None,
    };
    let config = Config::load(&flags, env).unwrap();
    assert_eq!(
        (config.listen.port(), config.data_dir.to_str().unwrap(), config.log_format),
        (3, "/b", LogFormat::Json)
    );
}

/// One typing error would send every sign-in to nowhere, and nobody could sign in here to mend it.
#[test]
fn a_public_address_has_a_host_that_can_exist() {
    let long = format!("https://{}.test", "a".repeat(64));
    let longer = format!("https://{}test", "abcdefg.".repeat(32));
    for bad in [
        long.as_str(),
        &longer,
        "https://a..test",
        "https://-x.test",
        "https://x-.test",
        "https://1.2.3",
        "https://console.example.com:0",
    ] {
        assert!(check_base_url(bad.to_owned(), false).is_err(), "{bad}");
    }
    for good in [
        "https://console.example.com",
        "https://console.example.com.:8443",
        "https://intern_1.lan",
        "https://192.0.2.7",
        "https://[2001:db8::7]",
        "http://localhost:8025",
        "https://bücher.example",
    ] {
        assert!(check_base_url(good.to_owned(), false).is_ok(), "{good}");
    }
}
