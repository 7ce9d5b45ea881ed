//! What completion scripts know besides the names of commands and options: scenes and regions.

/// The regions of COS in mainland China and elsewhere, for completion only: a new one works too.
const REGIONS: [&str; 18] = [
    "ap-beijing",
    "ap-beijing-1",
    "ap-nanjing",
    "ap-shanghai",
    "ap-guangzhou",
    "ap-chengdu",
    "ap-chongqing",
    "ap-hongkong",
    "ap-singapore",
    "ap-jakarta",
    "ap-seoul",
    "ap-bangkok",
    "ap-tokyo",
    "na-siliconvalley",
    "na-ashburn",
    "sa-saopaulo",
    "eu-frankfurt",
    "ap-mumbai",
];

/// The command for completion scripts, which also offer scenes and regions.
pub(super) fn completed(mut command: clap::Command) -> clap::Command {
    let scenes: Vec<&str> = crate::scene::Scene::ALL.iter().map(|scene| scene.name()).collect();
    let names: Vec<String> =
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        let scenes = scenes.clone();
        command = command.mut_subcommand(name, |command| {
            command.mut_args(|arg| match arg.get_long() {
                Some("scenes" | "scene") => {
                    arg.value_parser(clap::builder::PossibleValuesParser::new(scenes.clone()))
                }
                Some("region") => {
                    arg.value_parser(clap::builder::PossibleValuesParser::new(REGIONS))
                }
                _ => arg,
            })
        });
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn completion_offers_scenes_and_regions() {
        let mut script = Vec::new();
        clap_complete::generate(
            clap_complete::Shell::Bash,
            &mut completed(Cli::command()),
            "costag",
            &mut script,
        );
        let script = String::from_utf8(script).unwrap();
        assert!(
            script.contains("ap-guangzhou") && script.contains("album camera news web"),
            "{script}"
        );
    }
}
