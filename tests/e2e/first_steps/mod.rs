//! Somebody tries costag: the demo, the doctor, settings, mistakes, and a trial with a few images.

mod demo;
mod doctor;
mod mistakes;
mod nothing_to_label;
mod settings;
mod trials;
