"""What reads untrusted bytes, as targets for a fuzzer; `make fuzz` runs them for a bounded time.

`targets` says what must hold whatever the bytes are. Each `fuzz_<target>.py` is a program in the
form that OSS-Fuzz wants, `corpus/<target>/` is where it starts from. The tests hold every target to
its corpus, and to bytes that hypothesis draws, without the fuzzer.
"""
