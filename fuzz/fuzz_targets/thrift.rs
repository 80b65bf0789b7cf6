//! A Thrift client's bytes, from the detection of its protocol to the response.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    flipper_thrift::feed(bytes);
});
