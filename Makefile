# Generates the Rust and Python code from the Thrift IDL. Remember to commit what changes.
.PHONY: thrift
thrift:
	scripts/generate-thrift
