//! The text of a notification, in English or Chinese: what happened, to what, why, and what to do.

use std::fmt::Write as _;

use crate::cli::exit::Exit;
use crate::cli::outcome::summary::Summary;

use crate::config::Language;
use crate::numbers::{duration, grouped, money};
use crate::visible::visible;

/// The most characters of a reason, so that a message stays short.
const REASON_MAX: usize = 300;

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Its first line.
    pub(super) title: String,
    /// The whole text, with the title.
    pub(super) text: String,
}

/// The message about an invocation that ended with this code.
pub(super) fn of(summary: &Summary, exit: Exit, language: Language) -> Message {
    let name = match &summary.profile {
        Some(profile) => format!("costag {}", visible(profile)),
        None => "costag".to_owned(),
    };
    let (what, advice) = words(exit, language);
    let title = match language {
        Language::English => format!("{name}: {what} (exit code {})", summary.exit_code),
        Language::Chinese => format!("{name}：{what}（退出码 {}）", summary.exit_code),
    };
    let mut text = title.clone();
    if let Some(source) = &summary.source {
        let _ = write!(text, "\n{}", visible(source));
    }
    let _ = write!(text, "\n{}", numbers(summary, language));
    if exit != Exit::Complete {
        let reason: String = visible(&summary.reason).chars().take(REASON_MAX).collect();
        let _ = match language {
            Language::English => write!(text, "\nWhy: {reason}"),
            Language::Chinese => write!(text, "\n原因：{reason}"),
        };
    }
    if !advice.is_empty() {
        let profile = summary.profile.as_ref().map(|name| format!(" --profile {name}"));
        let advice = advice.replace("{profile}", &profile.unwrap_or_default());
        let _ = match language {
            Language::English => write!(text, "\nWhat to do: {advice}"),
            Language::Chinese => write!(text, "\n怎么办：{advice}"),
        };
    }
    Message { title, text }
}

/// What the invocation did.
fn numbers(summary: &Summary, language: Language) -> String {
    let [tagged, failed, units] = [summary.tagged, summary.failed, summary.units].map(grouped);
    let cost = summary.cost.map(|cost| format!("{} {}", money(cost), visible(&summary.currency)));
    let time = duration(summary.seconds);
    match language {
        Language::English => {
            let run = summary.run_id.map(|id| format!("run {id}: ")).unwrap_or_default();
            let cost = cost.map(|cost| format!(", about {cost}")).unwrap_or_default();
            format!("{run}{tagged} tagged, {failed} failed, {units} units{cost}, {time}")
        }
        Language::Chinese => {
            let run = summary.run_id.map(|id| format!("运行 {id}：")).unwrap_or_default();
            let cost = cost.map(|cost| format!("，约 {cost}")).unwrap_or_default();
            let time = time.replace(" h", " 小时").replace(" min", " 分").replace(" s", " 秒");
            format!("{run}已打标 {tagged} 张，失败 {failed} 张，计费 {units} 次{cost}，用时 {time}")
        }
    }
}

/// What an exit code means, and what to do; empty if nothing has to be done.
fn words(exit: Exit, language: Language) -> (&'static str, &'static str) {
    let ((what, advice), (what_zh, advice_zh)) = match exit {
        Exit::Complete => (("complete", ""), ("已完成", "")),
        Exit::Unexpected => (
            (
                "unexpected error",
                "`costag verify{profile}` checks the database; then start the run again",
            ),
            ("意外错误", "先用 `costag verify{profile}` 检查数据库，再重新运行"),
        ),
        Exit::Usage => (
            (
                "wrong command or configuration",
                "correct what the reason names; `costag config check{profile}` reads the configuration",
            ),
            ("命令或配置有误", "按原因改正；`costag config check{profile}` 可检查配置文件"),
        ),
        Exit::ImagesFailed => (
            (
                "complete, but images failed or are missing",
                "`costag status --failures{profile}` lists them and why",
            ),
            (
                "已完成，但有图片失败或缺失",
                "`costag status --failures{profile}` 列出这些图片及原因",
            ),
        ),
        Exit::Local => (
            (
                "a file or disk of this machine failed",
                "make room or correct the permissions; `costag resume{profile}` continues",
            ),
            ("本机文件或磁盘出错", "清理磁盘或修正权限后，用 `costag resume{profile}` 继续"),
        ),
        Exit::Temporary => (
            (
                "the network or the service failed for now",
                "nothing is lost: the next night or `costag resume{profile}` continues",
            ),
            (
                "网络或服务暂时出错",
                "进度已保存：下一晚会继续，也可以现在运行 `costag resume{profile}`",
            ),
        ),
        Exit::Credentials => (
            (
                "the service refused this account",
                "check the key, the policy, the activation and the balance (`costag doctor`); then \
                 `costag resume{profile}` continues",
            ),
            (
                "服务拒绝了该账户",
                "检查密钥、权限、服务开通和余额（`costag doctor`），再用 `costag resume{profile}` 继续",
            ),
        ),
        Exit::State => (
            (
                "the database cannot be used",
                "`costag verify{profile}` says what is wrong; a backup can take its place",
            ),
            ("数据库无法使用", "`costag verify{profile}` 说明问题所在；可用备份替换"),
        ),
        Exit::Budget => (
            (
                "a budget is reached, and work remains",
                "the next night or `costag resume{profile}` continues",
            ),
            ("预算已用完，仍有剩余", "下一晚会继续，也可以运行 `costag resume{profile}`"),
        ),
        Exit::Failures => (
            (
                "too many images failed",
                "`costag status --failures{profile}` says why; then `costag retry{profile}` and `costag resume{profile}`",
            ),
            (
                "失败的图片过多",
                "`costag status --failures{profile}` 说明原因；排除后运行 `costag retry{profile}` 和 `costag resume{profile}`",
            ),
        ),
        Exit::Window => (
            (
                "the time window ended, and work remains",
                "the next night or `costag resume{profile}` continues",
            ),
            ("时间窗口已结束，仍有剩余", "下一晚会继续，也可以运行 `costag resume{profile}`"),
        ),
        Exit::Locked => (
            ("another run uses the database", "wait until it has ended"),
            ("另一个运行正在使用数据库", "等待其结束"),
        ),
        Exit::HungUp | Exit::Interrupted | Exit::Quit | Exit::Terminated => (
            ("stopped by a signal", "nothing is lost: `costag resume{profile}` continues"),
            ("被信号停止", "进度已保存：用 `costag resume{profile}` 继续"),
        ),
    };
    match language {
        Language::English => (what, advice),
        Language::Chinese => (what_zh, advice_zh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::outcome::summary::Beginning;
    use crate::config::Settings;

    #[test]
    fn a_message_of_every_exit_code_is_short_and_says_what_to_do() {
        let mut told = String::new();
        for exit in Exit::ALL {
            let settings = Settings { profile: Some("photos".to_owned()), ..Settings::default() };
            let source = Some("cos://photos-1250000000/".to_owned());
            let beginning =
                Beginning { command: "run", at: jiff::Timestamp::now(), settings, source };
            let fault = (exit != Exit::Complete).then(|| "the reason".to_owned());
            let mut summary = beginning.ends(exit, fault, None, Vec::new());
            (summary.seconds, summary.tagged, summary.cost) = (7620.0, 11_980, Some(17.97));
            for language in [Language::English, Language::Chinese] {
                let message = of(&summary, exit, language);
                assert!(message.text.chars().count() < 500, "{}", message.text);
                assert!(message.text.starts_with(&message.title));
                let _ = writeln!(told, "{}\n", message.text);
            }
        }
        insta::assert_snapshot!(told);
    }
}
