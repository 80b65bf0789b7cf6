#!/usr/bin/env bash
# The Thrift compiler accepts field names that are C++ keywords, generates invalid C++, and exits with 0.
# Versions: thrift-compiler 0.17.0 (Debian bookworm).
# Expected: a refusal, as for its own list of reserved words (`class` is refused for every language), or a renamed field.
# Seen: `operator`, `template` and `explicit` pass without a warning into declarations such as `std::string operator;`.
# Consequence: an IDL that works in nine languages cannot be used from C++, and its authors notice last. Keep
# the reserved words of every language out of an IDL, and compile the generated code of each language in CI.
source "$(dirname "$0")/support/common.sh"

compiler=$(thrift_compiler) || cannot "thrift-compiler 0.17.0 is unavailable"
command -v g++ >/dev/null || cannot "g++ is missing"
version "$("$compiler" -version), $(g++ --version | head -1)"
expected "either thrift refuses the name, or the declaration that it writes compiles"
for stated in 'state 0 compiles' 'class 1 -' 'operator 0 fails' 'template 0 fails' 'explicit 0 fails'; do
  name=${stated%% *}
  mkdir "$home/$name"
  echo "struct Condition { 1: string $name }" >"$home/$name/idl.thrift"
  code=0 compiles=- line=
  "$compiler" --gen cpp --out "$home/$name" "$home/$name/idl.thrift" >"$home/$name/log" 2>&1 || code=$?
  if [ "$code" = 0 ]; then # an extract, so that neither Thrift's headers nor Boost are needed
    line=$(grep -h "^ *std::string $name;" "$home/$name"/*.h | xargs)
    printf '#include <string>\nstruct Condition {\n  %s\n};\n' "$line" >"$home/$name/extract.cpp"
    if g++ -fsyntax-only "$home/$name/extract.cpp" 2>/dev/null; then compiles=compiles; else compiles=fails; fi
  fi
  seen "field \`$name\`: thrift exits with $code${line:+, \`$line\` $compiles}"
  [ "$name $code $compiles" = "$stated" ] || changed "$name"
done
