//! libFuzzer's entry for [`reseed_tests::fuzz::sealed`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reseed_tests::fuzz::sealed(data));
