//! The real binary, a module a user story.

mod docs;
