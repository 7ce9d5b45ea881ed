//! Where credentials come from, besides the environment. The credentials themselves are not settings.

use super::setting::{Group, Kind, Resume, Section, Setting, put};
use crate::config::{value, written};

const DECIDES: Option<&str> = Some("where credentials come from");

pub(super) const SECTION: Section = Section {
    heading: "Where credentials come from, besides the environment.",
    settings: &[
        Setting {
            name: "credentials_file",
            short: None,
            kind: Kind::Value("FILE"),
            group: Group::Credentials,
            default: "",
            help: "File with the secret id and key, readable by you only",
            more: "",
            guarded: DECIDES,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.credentials.file, value::path(value)),
            get: |from| written::path(from.credentials.file.as_deref()),
        },
        Setting {
            name: "credential_process",
            short: None,
            kind: Kind::Value("COMMAND"),
            group: Group::Credentials,
            default: "",
            help: "Command that prints credentials; its text must not contain a secret, since other users can see it",
            more: "",
            guarded: DECIDES,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.credentials.process, value::optional_text(value)),
            get: |from| written::text(from.credentials.process.as_deref()),
        },
        Setting {
            name: "cvm_role",
            short: None,
            kind: Kind::Value("ROLE"),
            group: Group::Credentials,
            default: "",
            help: "CAM role of the CVM instance that costag runs on",
            more: "",
            guarded: DECIDES,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.credentials.cvm_role, value::optional_text(value)),
            get: |from| written::text(from.credentials.cvm_role.as_deref()),
        },
        Setting {
            name: "metadata_endpoint",
            short: None,
            kind: Kind::Value("URL"),
            group: Group::Credentials,
            default: "",
            help: "Address of the instance's metadata service, if it is not the usual one",
            more: "",
            guarded: DECIDES,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.credentials.metadata_endpoint, value::address(value)),
            get: |from| written::text(from.credentials.metadata_endpoint.as_deref()),
        },
    ],
};
