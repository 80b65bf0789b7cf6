"""Patches the output of `thrift --gen rs`; called by scripts/generate-thrift with the file's path.

Each step fails if it finds nothing to change, so that another compiler version is noticed. The reason of each:

1. Arguments are optional. Python's clients omit an argument that is None (`limit` of List, always), and the generated
   code refuses that with an error that ends the connection.
2. A field of another type than the IDL's is skipped, as in every other language. The generated code checks only the field's
   number and reads the expected type whatever follows.
3. A list's declared length does not set its capacity.
4. The processor is removed: on an unknown method it leaves the arguments in the stream, and it needs the crate's thread pool. The
   server has its own; the `process_*` functions stay.
5. A client's sequence number can be set: each call makes a new client, and a late response must not have the next call's number.
6. The structs have no `Default`: it would set optional fields to empty strings and zeros, which differ from missing ones.
"""

import re
import sys

READS = {
    "read_string": "String",
    "read_bytes": "String",
    "read_bool": "Bool",
    "read_i32": "I32",
    "read_i64": "I64",
    "read_list_begin": "List",
    "read_map_begin": "Map",
    "ErrorCode::read_from_in_protocol": "I32",
}


def substitute(pattern, replacement, text, flags=0):
    text, count = re.subn(pattern, replacement, text, flags=flags)
    if count == 0:
        sys.exit(f"patch.py: nothing matches {pattern!r}; another version of the compiler?")
    return text


def optional_arguments(text):
    def arguments(match):
        body = match.group(0)
        body = re.sub(r"^  (\w+): (\S+),$", r"  pub(crate) \1: Option<\2>,", body, flags=re.M)
        body = re.sub(r"^    verify_required_field_exists\(.*\n", "", body, flags=re.M)
        body = re.sub(r'f_(\d+)\.expect\("auto-generated [^"]*"\)', r"f_\1", body)
        body = re.sub(
            r"^    (o_prot\.write_field_begin.*)\n    (.*)\n    (o_prot\.write_field_end\(\)\?;)$",
            write_if_some,
            body,
            flags=re.M,
        )
        return body

    def write_if_some(match):
        begin, write, end = match.groups()
        name = re.search(r"self\.(\w+)", write).group(1)
        write = re.sub(rf"&?self\.{name}", "fld_var" if "&" in write or "write_to" in write else "*fld_var", write)
        return (
            f"    if let Some(ref fld_var) = self.{name} {{\n      {begin}\n      {write}\n      {end}\n    }}"
        )

    text = substitute(
        r"^struct FeatureFlagStore\w+Args \{.*?^\}\n\nimpl .*?^\}\n", arguments, text, re.M | re.S
    )

    def signature(match):
        head, args, tail = match.groups()
        return head + re.sub(r"(\w+): ([^,]+)", r"\1: Option<\2>", args) + tail

    text = substitute(r"(  fn handle_\w+\(&self, )([^)]*)(\) -> )", signature, text)
    names = "|".join(re.findall(r"  fn handle_(\w+)\(", text))
    return substitute(rf"(  fn (?:{names})\(&mut self, )([^)]*)(\) -> )", signature, text)


def checked_field_types(text):
    def arm(match):
        indent, number, statement = match.groups()
        read = re.search(r"= (?:i_prot\.)?(\w+(?:::\w+)?)\(", statement).group(1)
        kind = READS.get(read) or ("Struct" if read.endswith("::read_from_in_protocol") else None)
        if kind is None:
            sys.exit(f"patch.py: type of {statement!r} is not known")
        return f"{indent}{number} if field_ident.field_type == TType::{kind} => {{\n{statement}"

    return substitute(r"^( +)(\d+) => \{\n(.*)", arm, text, re.M)


def main(path):
    with open(path) as file:
        text = file.read()
    text = optional_arguments(text)
    # What is not indented as an arm of `match field_id` stays: the enum's arms have no block.
    text = checked_field_types(text)
    text = substitute(r"Vec::with_capacity\(list_ident\.size as usize\)", "Vec::new()", text)
    text = substitute(
        r"^pub struct FeatureFlagStoreSyncProcessor<.*?(?=^pub struct TFeatureFlagStoreProcessFunctions)", "", text, re.M | re.S
    )
    text = substitute(r"^impl <H: FeatureFlagStoreSyncHandler> TProcessor for .*?^\}\n\n", "", text, re.M | re.S)
    text = substitute(r"^impl Default for \w+ \{.*?^\}\n\n", "", text, re.M | re.S)
    text = substitute(r"^  (_sequence_number: i32,)", r"  pub(crate) \1", text, re.M)
    text = substitute(r"^use thrift::server::TProcessor;\n", "", text, re.M)
    # Inner attributes belong to the module's declaration, where the lints have their reasons.
    text = substitute(r"^#!\[.*\]\n", "", text, re.M)
    with open(path, "w") as file:
        file.write(text)


main(sys.argv[1])
