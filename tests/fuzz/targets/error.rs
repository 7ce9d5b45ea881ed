#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| costag::fuzz::error_answer(input));
