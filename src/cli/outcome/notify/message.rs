//! The text of a notification, in English or Chinese: what happened, to what, why, and what to do.

use std::fmt::Write as _;

use crate::cli::exit::Exit;
use crate::cli::outcome::summary::Summary;
use crate::cli::suggest::{Suggestion, Then};
use crate::config::Language;
use crate::numbers::{counted, duration, grouped, money};
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

/// The message about an invocation that ended with this code. `leaves_a_run` says whether a run can be continued now.
pub(super) fn of(summary: &Summary, exit: Exit, leaves_a_run: bool, language: Language) -> Message {
    let name = match &summary.profile {
        Some(profile) => format!("costag {}", visible(profile)),
        None => "costag".to_owned(),
    };
    let (what, advice, commands) = words(exit, language);
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
        let _ = match language {
            Language::English => write!(text, "\nWhat to do: {advice}"),
            Language::Chinese => write!(text, "\n怎么办：{advice}"),
        };
    }
    for then in commands.iter().filter(|then| **then != Then::Resume || leaves_a_run) {
        let _ = write!(text, "\n{}", command(*then, summary.profile.as_deref()));
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
            let units = counted(summary.units, "unit");
            format!("{run}{tagged} tagged, {failed} failed, {units}{cost}, {time}")
        }
        Language::Chinese => {
            let run = summary.run_id.map(|id| format!("运行 {id}：")).unwrap_or_default();
            let cost = cost.map(|cost| format!("，约 {cost}")).unwrap_or_default();
            let time = time.replace(" h", " 小时").replace(" min", " 分").replace(" s", " 秒");
            format!("{run}已打标 {tagged} 张，失败 {failed} 张，计费 {units} 次{cost}，用时 {time}")
        }
    }
}

/// What an exit code means, and what to do: a text, which is empty if nothing has to be done, and commands.
fn words(exit: Exit, language: Language) -> (&'static str, &'static str, &'static [Then]) {
    let ((what, advice), (what_zh, advice_zh), commands): (_, _, &[Then]) = match exit {
        Exit::Complete => (("complete", ""), ("已完成", ""), &[]),
        Exit::Unexpected => (
            ("unexpected error", "check the database, then start the run again"),
            ("意外错误", "先检查数据库，再重新运行"),
            &[Then::Verify, Then::Resume],
        ),
        Exit::Usage => (
            ("wrong command or configuration", "correct what the reason names"),
            ("命令或配置有误", "按原因改正"),
            &[],
        ),
        Exit::ImagesFailed => (
            (
                "complete, but images failed or are missing",
                "look at the failed images and their reasons",
            ),
            ("已完成，但有图片失败或缺失", "查看失败的图片及原因"),
            &[Then::Failures],
        ),
        Exit::Local => (
            (
                "a file or disk of this machine failed",
                "make room or correct the permissions, then continue",
            ),
            ("本机文件或磁盘出错", "清理磁盘或修正权限后继续"),
            &[Then::Resume],
        ),
        Exit::Temporary => (
            (
                "the network or the service failed for now",
                "nothing is lost: the next night continues, or you do now",
            ),
            ("网络或服务暂时出错", "进度已保存：下一晚会继续，也可以现在继续"),
            &[Then::Resume],
        ),
        Exit::Credentials => (
            (
                "the service refused this account",
                "check the key, the policy, the activation and the balance, then continue",
            ),
            ("服务拒绝了该账户", "检查密钥、权限、服务开通和余额，然后继续"),
            &[Then::Resume],
        ),
        Exit::State => (
            (
                "the database cannot be used",
                "see what is wrong with it; a backup can take its place",
            ),
            ("数据库无法使用", "查看问题所在；可用备份替换"),
            &[Then::Verify],
        ),
        Exit::Budget => (
            ("a budget is reached, and work remains", "the next night continues, or you do now"),
            ("预算已用完，仍有剩余", "下一晚会继续，也可以现在继续"),
            &[Then::Resume],
        ),
        Exit::Failures => (
            (
                "too many images failed",
                "look at the reasons and remove them, then put the images back and continue",
            ),
            ("失败的图片过多", "查看并排除原因，再放回这些图片并继续"),
            &[Then::Failures, Then::Retry, Then::Resume],
        ),
        Exit::Window => (
            ("the time window ended, and work remains", "the next night continues, or you do now"),
            ("时间窗口已结束，仍有剩余", "下一晚会继续，也可以现在继续"),
            &[Then::Resume],
        ),
        Exit::Locked => (
            ("another run uses the database", "wait until it has ended"),
            ("另一个运行正在使用数据库", "等待其结束"),
            &[],
        ),
        Exit::HungUp | Exit::Interrupted | Exit::Quit | Exit::Terminated => (
            ("stopped by a signal", "nothing is lost: continue when it suits you"),
            ("被信号停止", "进度已保存，可随时继续"),
            &[Then::Resume],
        ),
    };
    match language {
        Language::English => (what, advice, commands),
        Language::Chinese => (what_zh, advice_zh, commands),
    }
}

/// The command that does a step, complete and with the profile of the run.
fn command(then: Then, profile: Option<&str>) -> Suggestion {
    let command = then.command();
    match profile {
        Some(name) if !command.shown().contains(" --profile") => command.with(["--profile", name]),
        _ => command,
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
                let message = of(&summary, exit, true, language);
                let without_run = of(&summary, exit, false, language).text;
                assert!(!without_run.contains("costag resume"), "{without_run}");
                assert!(!message.text.contains('`'), "{}", message.text);
                assert!(message.text.chars().count() < 500, "{}", message.text);
                assert!(message.text.starts_with(&message.title));
                let _ = writeln!(told, "{}\n", message.text);
            }
        }
        insta::assert_snapshot!(told);
    }
}
