//! Messages to chat robots and webhooks about the end of a run.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{BUCKET, Ended, Site, posted};

const TOKEN: &str = "hush-token-4b21";
const SECRET: &str = "SEChush-secret-77";

/// What robots have received: the kind, and the text.
type Received = Arc<Mutex<Vec<(String, String)>>>;

fn hmac(key: &str, message: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

fn is_recent(milliseconds: &str) -> bool {
    let now = jiff::Timestamp::now().as_millisecond();
    milliseconds.parse().is_ok_and(|at: i64| (now - at).abs() < 3_600_000)
}

/// A server with a robot of each kind, which check requests as the services do and refuse in an answer with HTTP 200.
fn robots() -> (String, Received) {
    let received = Received::default();
    let seen = Arc::clone(&received);
    let address = posted(move |path, body| {
        let url = url::Url::parse(&format!("http://localhost{path}")).unwrap();
        let query = |name: &str| {
            url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let body: Value = serde_json::from_str(body).unwrap();
        let text = |place: &str| {
            body.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (kind, text, answer) = match url.path() {
            "/robot/send" => {
                let (time, sign) = (query("timestamp").unwrap_or_default(), query("sign"));
                let fits = query("access_token").as_deref() == Some(TOKEN)
                    && is_recent(&time)
                    && sign == Some(hmac(SECRET, &format!("{time}\n{SECRET}")))
                    && body["msgtype"] == "text";
                let answer = if fits {
                    json!({ "errcode": 0, "errmsg": "ok" })
                } else {
                    json!({ "errcode": 310_000, "errmsg": format!("sign not match for {TOKEN}") })
                };
                ("dingtalk", text("/text/content"), answer)
            }
            "/cgi-bin/webhook/send" => {
                let fits = query("key").as_deref() == Some(TOKEN) && body["msgtype"] == "text";
                let answer = if fits {
                    json!({ "errcode": 0, "errmsg": "ok" })
                } else {
                    json!({ "errcode": 93_000, "errmsg": "invalid webhook url" })
                };
                ("wecom", text("/text/content"), answer)
            }
            "/open-apis/bot/v2/hook/hush-token-4b21" => {
                let time = body["timestamp"].as_str().unwrap_or_default().to_owned();
                let fits = is_recent(&format!("{time}000"))
                    && body["sign"] == hmac(&format!("{time}\n{SECRET}"), "")
                    && body["msg_type"] == "text";
                let answer = if fits {
                    json!({ "code": 0, "msg": "success" })
                } else {
                    json!({ "code": 19_021, "msg": "sign match fail" })
                };
                ("feishu", text("/content/text"), answer)
            }
            _ => {
                // A line of another kind may name this address by mistake.
                assert!(body["summary"]["schema"] == 1 || body.get("text").is_none(), "{body}");
                ("webhook", text("/text"), json!({ "ok": true }))
            }
        };
        let refused = answer.get("errcode").or(answer.get("code")).is_some_and(|code| *code != 0);
        let kind = if refused { format!("{kind} refused") } else { kind.to_owned() };
        seen.lock().unwrap().push((kind, text));
        answer.to_string()
    });
    (format!("http://{address}"), received)
}

/// The lines for all four robots.
fn all(base: &str) -> String {
    format!(
        "# ours\ndingtalk {base}/robot/send?access_token={TOKEN} {SECRET}\nwecom {base}/cgi-bin/webhook/send?key={TOKEN}\n\
         feishu {base}/open-apis/bot/v2/hook/{TOKEN} {SECRET}\nwebhook {base}/{TOKEN}\n"
    )
}

fn site() -> Site {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::plain(3);
    site.write("robots", "");
    std::fs::set_permissions(site.path("robots"), std::fs::Permissions::from_mode(0o600)).unwrap();
    site
}

/// Runs a command to its end. The commands that it suggests are not tried, because they would send messages too.
fn without_suggested(mut command: std::process::Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A run that tells the robots of the file.
fn run(site: &Site, options: &[&str], set_up: impl FnOnce(&mut std::process::Command)) -> Ended {
    let mut command = site.command(
        &[&["run", BUCKET, "--log", "trace", "--notify-file", "robots"], options].concat(),
    );
    set_up(&mut command);
    let ended = without_suggested(command);
    assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
    ended
}

#[test]
fn robots_of_every_kind_get_a_signed_message() {
    let site = site();
    let (base, received) = robots();
    site.write("robots", all(&base));
    let ended = run(&site, &["--notify", "always"], |_| {}).with(0);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    let told = std::mem::take(&mut *received.lock().unwrap());
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["dingtalk", "wecom", "feishu", "webhook"]);
    for (kind, text) in &told {
        assert!(
            text.starts_with(
                "costag: complete (exit code 0)\ncos://demo-1250000000/\nrun 1: 3 tagged"
            ),
            "{kind}: {text}"
        );
    }
    let wrong = |command: &mut std::process::Command| {
        let _ = command.env("COSTAG_SECRET_KEY", "wrong");
    };
    run(&site, &["--language", "zh"], wrong).with(6);
    let told = std::mem::take(&mut *received.lock().unwrap());
    assert_eq!(told.len(), 4, "trouble is told without an option");
    let text = &told[1].1;
    assert!(
        text.starts_with("costag：服务拒绝了该账户（退出码 6）") && text.contains("怎么办："),
        "{text}"
    );
    let mut stored = std::fs::read(site.path("costag.db")).unwrap();
    stored.extend(std::fs::read(site.path("costag.db-wal")).unwrap_or_default());
    assert!(!stored.windows(4).any(|four| four == b"hush"), "no address is in the database");
}

#[test]
fn notifications_come_when_they_are_wanted() {
    let site = site();
    let (base, received) = robots();
    site.write("robots", format!("wecom {base}/cgi-bin/webhook/send?key={TOKEN}"));
    let told = |options: &[&str], key: Option<&str>, code: i32| {
        run(&site, options, |command| {
            if let Some(key) = key {
                command.env("COSTAG_SECRET_KEY", key);
            }
        })
        .with(code);
        std::mem::take(&mut *received.lock().unwrap()).len()
    };
    let wrong = Some("wrong");
    assert_eq!(told(&[], None, 0), 0, "a success is no trouble");
    assert_eq!(told(&[], wrong, 6), 1);
    assert_eq!(told(&["--notify", "change"], wrong, 6), 0);
    assert_eq!(told(&["--notify", "change"], None, 0), 1);
    assert_eq!(told(&["--notify", "change"], None, 0), 0);
    assert_eq!(told(&["--notify", "never"], wrong, 6), 0);
    assert_eq!(told(&["--success-codes", "0,6"], wrong, 6), 0);
    assert_eq!(told(&["--notify", "always"], None, 0), 1);
    let mut command = site.command(&["run", BUCKET, "--notify", "always"]);
    command.env("COSTAG_NOTIFY_TO", format!("wecom {base}/cgi-bin/webhook/send?key={TOKEN}; wecom {base}/cgi-bin/webhook/send?key={TOKEN}"));
    without_suggested(command).with(0);
    assert_eq!(received.lock().unwrap().len(), 2);
}

#[test]
fn a_notification_that_fails_is_a_warning_and_shows_no_secret() {
    let site = site();
    let (base, received) = robots();
    let fails = |line: &str, told: &[&str]| {
        site.write("robots", line);
        run(&site, &["--notify", "always"], |_| {}).with(0).says(told);
    };
    fails(
        &format!("dingtalk {base}/robot/send?access_token={TOKEN} wrong-{SECRET}"),
        &["warning: the notification to dingtalk failed", "code 310000: sign not match for …"],
    );
    fails(&format!("dingtalk {base}/robot/send?access_token={TOKEN}"), &["code 310000"]);
    fails(
        &format!("feishu {base}/open-apis/bot/v2/hook/{TOKEN} x{SECRET}"),
        &["code 19021: sign match fail"],
    );
    fails(&format!("wecom {base}/cgi-bin/webhook/send?key=x{TOKEN}"), &["code 93000"]);
    fails(&format!("feishu {base}/{TOKEN}"), &["not that of such a robot"]);
    fails(
        &format!("wecom http://127.0.0.1:9/{TOKEN}"),
        &["warning: the notification to wecom failed"],
    );
    fails(
        &format!("slack {base}/{TOKEN}"),
        &["warning: a receiver is not notified: robots, line 1"],
    );
    let told = received.lock().unwrap();
    let refused = told.iter().filter(|(kind, _)| kind.ends_with("refused")).count();
    assert_eq!((told.len(), refused), (5, 4), "{told:?}");
    std::fs::remove_file(site.path("robots")).unwrap();
    run(&site, &[], |_| {})
        .with(0)
        .says(&["warning: nobody is notified: cannot read notify_file robots"]);
}

#[test]
fn commands_in_a_message_are_those_of_the_log() {
    let site = site();
    let (base, received) = robots();
    site.write("robots", format!("webhook {base}/{TOKEN}"));
    let ended =
        run(&site, &["--max-calls", "1", "--db", "an other.db", "--notify", "always"], |_| {});
    let ended = ended.with(8);
    let told = std::mem::take(&mut *received.lock().unwrap());
    let commands: Vec<_> = told[0].1.lines().filter(|line| line.starts_with("  costag ")).collect();
    assert_eq!(commands.len(), 1, "{}", told[0].1);
    assert!(commands[0].starts_with("  costag resume "), "{}", told[0].1);
    assert!(commands[0].contains("--db 'an other.db'"), "{}", told[0].1);
    assert!(ended.stderr.lines().any(|line| line == commands[0]), "{}", ended.stderr);
}

#[test]
fn a_failure_before_a_run_can_begin_is_told_as_well() {
    let site = site();
    let (base, received) = robots();
    site.write("robots", format!("wecom {base}/cgi-bin/webhook/send?key={TOKEN}"));
    let told = |arguments: &[&str], code: i32, reason: &str| {
        let mut command = site.command(arguments);
        command.env_remove("COSTAG_QPS");
        let ended = without_suggested(command).with(code);
        assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
        let told = std::mem::take(&mut *received.lock().unwrap());
        assert_eq!(told.len(), 1, "{arguments:?}: {}", ended.stderr);
        assert!(told[0].1.contains(reason), "{}", told[0].1);
    };
    let robots = ["--notify-file", "robots"];
    told(&[&["run", BUCKET, "--qps", "fast"][..], &robots].concat(), 2, "qps = \"fast\"");
    told(&[&["run", "cos://Wrong"][..], &robots].concat(), 2, "Wrong");
    told(&[&["run", BUCKET, "--keys", "none.txt"][..], &robots].concat(), 2, "none.txt");
    told(&[&["resume", "--db", "none.db"][..], &robots].concat(), 2, "none.db");
    // A setting that is wrong does not hide the others of its profile, and one file not the other.
    std::fs::create_dir_all(site.path(".config/costag")).unwrap();
    let profile = |name: &str, more: &str| {
        format!("[profile.{name}]\naddress = \"{BUCKET}\"\nnotify_file = \"robots\"\n{more}")
    };
    let text = [profile("a", "qps = \"fast\"\n"), profile("b", "db = \"b.db\"\n")].concat();
    site.write(".config/costag/costag.toml", text);
    told(&["run", "a"], 2, "costag a: wrong command or configuration");
    told(&["run", "--profile", "a"], 2, "costag a: ");
    told(&["run", "--all"], 2, "costag a: ");
    site.write("costag.toml", "no TOML");
    told(&["run", "a"], 2, "costag.toml, line 1");
    told(&["run", "--all", "--profile", "a"], 2, "--all means every profile");
    // A plan tells nobody.
    let planned = without_suggested(site.command(&["plan", "a"])).with(2);
    assert!(received.lock().unwrap().is_empty(), "{}", planned.stderr);
}
