//! Credentials that a process prints.

use super::*;
use crate::time::UnixSeconds;

#[rstest]
#[case(r#"{"TmpSecretId":"i","TmpSecretKey":"k","Token":"t","ExpiredTime":4000000000}"#)]
#[case(r#"{"SecretId":"i","SecretKey":"k","Token":"t","Expiration":"2096-10-02T07:06:40Z"}"#)]
#[case(r#"{"Credentials":{"TmpSecretId":"i","TmpSecretKey":"k","Token":"t"},"ExpiredTime":4000000000}"#)]
#[tokio::test]
async fn a_process_prints_credentials_as_json(#[case] json: &str) {
    let mut world = World::new(&[("COSTAG_SECRET_ID", "c-id"), ("COSTAG_SECRET_KEY", "c-key")]);
    world.process = Some(format!("echo noise >&2; cat <<'EOF'\n{json}\nEOF"));
    let provider = world.discover().await.unwrap();
    let credentials = provider.current(&Clock::default()).await.unwrap();
    assert_eq!(parts(&credentials), three("i", "k", Some("t")));
    assert_eq!(credentials.expires_at, Some(UnixSeconds(4_000_000_000)));
    assert_eq!(provider.source(), "credential_process");
}

#[tokio::test]
async fn a_process_that_fails_shows_nothing_that_it_printed() {
    let mut world = World::new(&[]);
    for (command, told) in [
        ("echo s3cret; echo s3cret >&2; exit 3", "exit status: 3"),
        ("echo s3cret", "not JSON"),
        (r#"echo '{"SecretId":"s3cret"}'"#, "no SecretKey"),
        (r#"echo '{"SecretId":"i","SecretKey":"s3cret","ExpiredTime":"soon"}'"#, "expiry"),
        (r#"echo '{"SecretId":"i","SecretKey":" s3cret"}'"#, "blanks"),
    ] {
        world.process = Some(command.to_owned());
        let error = world.discover().await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(told) && !shown.contains("s3cret"), "{shown}");
    }
}

#[rstest]
#[case::short(r#"echo '{"SecretId":"id-1","SecretKey":"p@9"}'; echo "rejected p@9 of id-1" >&2"#, &["p@9", "id-1"])]
#[case::by_name(r#"echo "secret_key=abc token: dEf, at 12:30" >&2"#, &["abc", "dEf"])]
#[case::in_json(r#"echo '{"token": "xy", "why": "late"}' >&2"#, &["xy"])]
#[case::of_no_json("echo plain-7; echo not plain-7 >&2", &["plain-7"])]
#[tokio::test]
async fn a_short_secret_of_a_process_that_fails_is_not_shown(
    #[case] command: &str,
    #[case] secrets: &[&str],
) {
    let command = format!("{command}; exit 1");
    let told = process::run(&command, Duration::from_secs(10)).await.unwrap_err().to_string();
    assert!(told.contains("it wrote: "), "{told}");
    for secret in secrets {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn the_error_output_of_a_failed_process_is_shown_without_secrets() {
    let fails = async |command: &str| {
        process::run(command, Duration::from_secs(10)).await.unwrap_err().to_string()
    };
    let told = fails("echo 'vault: token expired 2026-11-01, run: vault login' >&2; exit 2").await;
    assert!(
        told.contains(
            "exit status: 2; it wrote: vault: token expired 2026-11-01, run: vault login"
        ),
        "{told}"
    );
    let told = fails("no-such-command-at-all").await;
    assert!(told.contains("not found"), "{told}");
    let told = fails("echo '+ export KEY=Gu5t9xGARNpq86cd98joQYCN3EXAMPLE' >&2; exit 1").await;
    assert!(told.contains("KEY") || told.contains('…'), "{told}");
    assert!(!told.contains("Gu5t9x"), "{told}");
    let told =
        fails(r#"echo '{"SecretKey":"abcdef"}'; echo 'cannot use abcdef' >&2; exit 1"#).await;
    assert!(told.contains("cannot use …") && !told.contains("abcdef"), "{told}");
    let told = fails("head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1").await;
    assert!(told.len() < 500 && told.ends_with("end"), "{told}");
    let told = fails("exit 7").await;
    assert!(told.ends_with("exit status: 7"), "{told}");
}

#[tokio::test]
async fn a_process_that_outlives_the_command_is_not_waited_for() {
    let json = r#"{"SecretId":"i","SecretKey":"k"}"#;
    let begun = std::time::Instant::now();
    let command = format!("sleep 60 >/dev/null & echo '{json}'");
    let found = process::run(&command, Duration::from_secs(20)).await.unwrap();
    assert_eq!(found.secret_id, "i");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_process_that_takes_too_long_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = folder.path().join("numbers");
    let numbers = numbers.display();
    let command = format!(
        "sh -c 'sleep 60 & echo $! >>{numbers}; wait' & echo $! >>{numbers}; sleep 60 & echo $! >>{numbers}; wait"
    );
    let limit = Duration::from_millis(600);
    let error = process::run(&command, limit).await.unwrap_err();
    assert!(matches!(error, Error::ProcessTimeout { .. }));
    let numbers = std::fs::read_to_string(numbers.to_string()).unwrap();
    assert_eq!(numbers.lines().count(), 3, "{numbers}");
    let runs = |number: &str| {
        let status = std::fs::read_to_string(format!("/proc/{number}/status"));
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    };
    let begun = std::time::Instant::now();
    while numbers.lines().any(runs) {
        assert!(begun.elapsed() < Duration::from_secs(10), "they go on: {numbers}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
