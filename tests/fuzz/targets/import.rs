#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| costag::fuzz::import_file(input));
