#!/usr/bin/env bash
# Flipper for Ruby: the callers of two features are not chosen independently.
# Versions: ruby-flipper 0.25.4 of Debian bookworm, and its Ruby 3.1.
# Expected: of 100,000 actors, two features of 10 % each have about 1,000 in common, whatever their names.
# Seen: `import` and `signup` have 51 in common, `emails` and `editor` 3,936. The share of each is right.
# Consequence: two experiments that each are for a tenth of the users are as good as never tried out together, or mostly together, and the result of
# one is that of both. It hashes the feature's name and the actor's id by CRC-32: between ids of one length, as UUIDs are, the hashes of two
# features differ by the same bits for each actor. No length of names helps: measure what two features have in common.
source "$(dirname "$0")/support/common.sh"
command -v ruby >/dev/null || cannot "ruby is missing"

debian_packages ruby-flipper=0.25.4-2
version "$(ruby --version | cut -d' ' -f1-2), Debian's ruby-flipper 0.25.4-2"
lib=$(echo "$home"/debian/usr/share/rubygems-integration/all/gems/flipper-*/lib)
cat >"$home/probe.rb" <<'RUBY'
require 'flipper'
flipper = Flipper.new(Flipper::Adapters::Memory.new)
actors = (1..100_000).map { |id| Flipper::Actor.new("User;#{id}") }
ARGV.each_slice(2) do |names|
  chosen = names.map do |name|
    flipper.enable_percentage_of_actors(name, 10)
    actors.select { |actor| flipper.enabled?(name, actor) }
  end
  puts "#{names.join(' and ')}: #{chosen.map(&:size).join(' and ')} actors, #{(chosen[0] & chosen[1]).size} in both"
end
RUBY
ruby -I "$lib" "$home/probe.rb" import signup emails editor checkout import >"$home/out" || cannot "the probe"
expected "about 10000 actors each, and 1000 in both"
while read -r line; do seen "$line"; done <"$home/out"
grep -q '^import and signup: .* 51 in both$' "$home/out" && grep -q '^emails and editor: .* 3936 in both$' "$home/out" || changed "what two features have in common"
