# Answers of Flipper in Ruby. Standard input has the `calls` that make the features, each a list of method, feature and an argument if it takes
# one, and the `callers`: a flipper_id each, or null for none. Standard output: the `export`, and for each caller which gate opened for each
# feature, or null.
require 'json'
require 'flipper'

# The gate that opened is in an event alone.
module Opened
  class << self
    attr_accessor :gate

    def instrument(_event, payload = {})
      self.gate = nil
      yield(payload).tap { self.gate = payload[:gate_name] }
    end
  end
end

Flipper.register(:even) { |actor| actor.flipper_id.to_s.end_with?('0', '2', '4', '6', '8') }

srand(1)
question = JSON.parse($stdin.set_encoding('utf-8').read)
adapter = Flipper::Adapters::Memory.new
flipper = Flipper.new(adapter, instrumenter: Opened)
question['calls'].each do |method, feature, argument|
  argument = Flipper::Actor.new(argument) if method.end_with?('_actor')
  flipper.public_send(method, *[feature, argument].compact)
end

answers = question['callers'].map do |id|
  caller = id.nil? ? nil : Flipper::Actor.new(id)
  adapter.features.map { |feature| [feature, (Opened.gate if flipper.enabled?(feature, caller))] }.to_h
end
# Version 1 of the export came after 0.25: what the adapter holds, with lists for sets.
features = adapter.get_all.transform_values { |gates| gates.transform_values { |it| it.is_a?(Set) ? it.to_a : it } }
puts JSON.generate(export: { version: 1, features: features }, answers: answers)
