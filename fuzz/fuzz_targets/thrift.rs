//! What a Thrift client may send, from the detection of its protocol to the answer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    flipper_thrift::feed(bytes);
});
