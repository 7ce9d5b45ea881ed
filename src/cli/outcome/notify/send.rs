//! The request that each kind of receiver expects, and its answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use super::message::Message;
use super::receiver::{Kind, Receiver};
use crate::cli::execute_job;
use crate::cli::fault::chain;
use crate::cli::outcome::summary::Summary;
use crate::cos::Options;
use crate::cos::client::post;

/// Sends a message and reads the answer, for at most ten seconds.
///
/// # Errors
/// Why it failed. The reason may repeat what the receiver answered, of any length and with the address in it.
pub(super) fn send(
    receiver: &Receiver,
    message: &Message,
    summary: &Summary,
    options: &Options,
) -> Result<(), String> {
    let parsed = Url::parse(receiver.address.expose_secret()).map_err(|error| error.to_string())?;
    let (address, body) = request(receiver, parsed, message, summary, Timestamp::now());
    let runtime = execute_job::runtime().map_err(|error| chain(error.as_ref()))?;
    let sent = post(&address, "application/json; charset=utf-8", body.to_string(), options);
    let (status, answer) = runtime.block_on(sent).map_err(|error| chain(&error))?;
    if !(200..300).contains(&status) {
        return Err(format!("it was answered with HTTP {status}: check its address"));
    }
    accepted(receiver.kind, &answer)
}

/// The address and the body of a request.
fn request(
    receiver: &Receiver,
    mut address: Url,
    message: &Message,
    summary: &Summary,
    now: Timestamp,
) -> (Url, Value) {
    let secret = receiver.secret.as_ref().map(ExposeSecret::expose_secret);
    let text = &message.text;
    let body = match receiver.kind {
        Kind::DingTalk => {
            if let Some(secret) = secret {
                let time = now.as_millisecond();
                let sign = signature(secret, &format!("{time}\n{secret}"));
                address
                    .query_pairs_mut()
                    .append_pair("timestamp", &time.to_string())
                    .append_pair("sign", &sign);
            }
            json!({ "msgtype": "text", "text": { "content": text } })
        }
        Kind::WeCom => json!({ "msgtype": "text", "text": { "content": text } }),
        Kind::Feishu => {
            // A text of Feishu may have tags that call everybody.
            let text = text.replace('<', "＜");
            let mut body = json!({ "msg_type": "text", "content": { "text": text } });
            if let Some(secret) = secret {
                let time = now.as_second();
                body["timestamp"] = time.to_string().into();
                body["sign"] = signature(&format!("{time}\n{secret}"), "").into();
            }
            body
        }
        Kind::Webhook => json!({
            "text": text,
            "title": message.title,
            "success": summary.success,
            "summary": summary,
        }),
    };
    (address, body)
}

/// HMAC-SHA256 in base64.
fn signature(key: &str, message: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(message.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Whether the answer with HTTP 200 says that the message was accepted. Robots refuse in the body.
fn accepted(kind: Kind, answer: &str) -> Result<(), String> {
    let json: Option<Value> = serde_json::from_str(answer).ok();
    let code = |name: &str| json.as_ref().and_then(|json| json.get(name)?.as_i64());
    let (code, why) = match kind {
        Kind::DingTalk | Kind::WeCom => (code("errcode"), "errmsg"),
        Kind::Feishu => (code("code").or_else(|| code("StatusCode")), "msg"),
        // Other receivers answer whatever they like, and many with the text "ok".
        Kind::Webhook if json.as_ref().is_some_and(|json| json["ok"] == false) => {
            (Some(-1), "error")
        }
        Kind::Webhook => (Some(code("errcode").unwrap_or(0)), "errmsg"),
    };
    match code {
        Some(0) => Ok(()),
        Some(code) => {
            let why = json.as_ref().and_then(|json| json.get(why)?.as_str()).unwrap_or_default();
            Err(format!("it was refused with code {code}: {why}"))
        }
        None => {
            Err("the answer is not that of such a robot: check the kind and the address".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: `base64.b64encode(hmac.new(key, message, hashlib.sha256).digest())`.
    #[test]
    fn signatures_are_those_of_the_documentation() {
        assert_eq!(
            signature("SECx", "1577808000000\nSECx"),
            "ZvRGbJdYaSG6DkBGJqj7CT0duSn3XL7QrE7vpuhr9KQ="
        );
        assert_eq!(
            signature("1577808000\nSECx", ""),
            "7pdpdFNZ/dwirSfPaBCpC7/ocxqIeJJfeMRBdCkq7EI="
        );
    }

    #[test]
    fn a_refusal_inside_http_200_is_one() {
        let is_accepted = |kind, answer: &str| accepted(kind, answer).is_ok();
        for kind in [Kind::DingTalk, Kind::WeCom] {
            assert!(is_accepted(kind, r#"{"errcode":0,"errmsg":"ok"}"#));
            assert!(!is_accepted(kind, r#"{"errcode":310000,"errmsg":"sign not match"}"#));
            assert!(!is_accepted(kind, "<html>"));
        }
        assert!(is_accepted(Kind::Feishu, r#"{"code":0,"msg":"success"}"#));
        assert!(is_accepted(Kind::Feishu, r#"{"StatusCode":0,"StatusMessage":"success"}"#));
        assert!(!is_accepted(Kind::Feishu, r#"{"code":19021,"msg":"sign match fail"}"#));
        assert!(!is_accepted(Kind::Feishu, "{}"));
        for answer in ["ok", "", "{}", r#"{"ok":true}"#] {
            assert!(is_accepted(Kind::Webhook, answer), "{answer}");
        }
        assert!(!is_accepted(Kind::Webhook, r#"{"ok":false,"error":"no"}"#));
    }
}
